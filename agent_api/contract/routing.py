"""Compiles the operations of the contract, and finds the operation of a request."""

import re

from connexion.http_facts import METHODS
from connexion.spec import Specification

from agent_api.contract.operation import Operation
from agent_api.contract.resolver import HandlerResolver
from agent_api.contract.spec import ContractError
from agent_api.http.problems import MethodNotAllowed

_TEMPLATE = re.compile(r"\\\{(\w+)\\\}")  # {name} after re.escape


def compile_operations(specification: Specification, resolver: HandlerResolver) -> list[Operation]:
    """Return the operations. Raises ContractError unless all handlers match."""
    operations: list[Operation] = []
    for path, item in specification["paths"].items():
        for method in METHODS & item.keys():
            source = specification.operation_cls.from_spec(
                specification, path=path, method=method, resolver=resolver
            )
            try:
                operations.append(Operation(source))
            except ValueError as error:  # an unsupported parameter or status
                raise ContractError(f"{source.operation_id}: {error}") from error
    ids = [operation.operation_id for operation in operations]
    if duplicates := {name for name in ids if ids.count(name) > 1}:
        raise ContractError(f"Duplicate operationIds: {', '.join(sorted(duplicates))}")
    resolver.check(operations)
    return operations


def _pattern(path: str, methods: dict[str, Operation]) -> re.Pattern[str]:
    """Return the pattern of a path. Parameters that are no ids may contain slashes."""
    texts = {
        parameter.name
        for operation in methods.values()
        for parameter in operation.parameters
        if parameter.place == "path" and not parameter.is_id
    }

    def group(match: re.Match[str]) -> str:
        name = match[1]
        return f"(?P<{name}>{'(?s:.+)' if name in texts else '[^/]+'})"

    return re.compile(_TEMPLATE.sub(group, re.escape(path)))


class Router:
    """Finds the operation of a path and method."""

    def __init__(self, operations: list[Operation]) -> None:
        self._plain: dict[str, dict[str, Operation]] = {}
        templates: dict[str, dict[str, Operation]] = {}
        for operation in operations:
            table = templates if "{" in operation.path else self._plain
            table.setdefault(operation.path, {})[operation.method] = operation
        self._patterns = [(_pattern(path, methods), methods) for path, methods in templates.items()]

    def find(self, path: str, method: str) -> tuple[Operation, dict[str, str]] | None:
        """Return the operation and its path parameters, or None for an unknown path.

        HEAD finds the operation of GET (RFC 9110 section 9.3.2). Raises MethodNotAllowed.
        """
        methods, arguments = self._plain.get(path), {}
        if methods is None:
            for pattern, candidate in self._patterns:
                if match := pattern.fullmatch(path):
                    methods, arguments = candidate, match.groupdict()
                    break
            else:
                return None
        operation = methods.get("GET" if method == "HEAD" else method)
        if operation is None:
            raise MethodNotAllowed(sorted({*methods, *(["HEAD"] if "GET" in methods else [])}))
        return operation, arguments
