"""Finds the example response of the contract that fits a request."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from connexion.spec import Specification

from agent_api.contract.operation import Operation, ResponseBreaksContract
from agent_api.contract.resolver import HandlerResolver
from agent_api.contract.routing import compile_operations
from agent_api.contract.spec import ContractError, load_contract
from agent_api.http.problems import BadRequest
from agent_api.http.responses import Response


class Example(NamedTuple):
    """An example of a response: its name, its value, and the complete response."""

    name: str
    value: Any
    response: Response


class ExampleResolver(HandlerResolver):
    """Accepts operations without handlers, so that a mock can serve them."""

    def __init__(self) -> None:
        super().__init__(defaultdict(lambda: _no_handler))

    def check(self, operations: Sequence[Operation]) -> None:
        """Accept every contract."""


def _no_handler() -> None:
    """Stand in for a handler. The mock never calls it."""


def check_examples() -> None:
    """Raise ContractError if an example of the contract violates its schema."""
    collect_examples(Specification.load(load_contract()))


def collect_examples(specification: Specification) -> dict[str, "Examples"]:
    """Return the examples by operationId. Raises ContractError for an invalid one."""
    operations = compile_operations(specification, ExampleResolver())
    paths = {operation.operation_id: operation.path for operation in operations}
    try:
        return {operation.operation_id: Examples(operation, paths) for operation in operations}
    except ResponseBreaksContract as error:
        raise ContractError(f"An example violates its schema: {error}") from error


class Examples:
    """The examples of an operation: responses by status, and requests by name."""

    def __init__(self, operation: Operation, paths: Mapping[str, str]) -> None:
        self._responses = {
            int(status): list(_examples(operation, int(status), response, paths))
            for status, response in sorted(operation.source.responses.items())
        }
        self._success = next(iter(self._responses.values()))
        content = operation.source.request_body.get("content", {}).get("application/json", {})
        self._requests = {name: e["value"] for name, e in content.get("examples", {}).items()}

    def select(self, code: str | None, name: str | None) -> Response:
        """Return the first response with this status and name, or a 400 that lists all."""
        for status, examples in self._responses.items():
            for example in examples:
                if code in (None, str(status)) and name in (None, example.name):
                    return example.response
        known = "; ".join(
            f"code={status}, example={' or '.join(example.name for example in examples)}"
            for status, examples in self._responses.items()
        )
        # Do not raise it: operations without a body do not list a 400 in the contract.
        detail = f"The contract has no such example. Prefer one of: {known}."
        return BadRequest(detail).to_response()

    def best_match(self, arguments: Mapping[str, Any], body: Any) -> Response:
        """Return the successful response that fits the request best, or the first.

        - With a body: the response named like the most similar request example.
        - With a cursor or offset: the last page, so that paging ends.
        - With a position in a log: the page after it, or the first example, the end of the log.
        - With `include_x` false: the response named `without_x`.
        """
        if body is not None and self._requests:
            name = max(self._requests, key=lambda name: _similarity(self._requests[name], body))
            return self._first(lambda example: example.name == name)
        if arguments.get("cursor") or arguments.get("offset"):
            return self._first(lambda example: example.value.get("next_cursor") is None)
        if (after := arguments.get("after")) is not None:
            return self._first(lambda example: _is_after(example.value, after))
        declined = {
            name.replace("include_", "without_", 1)
            for name, value in arguments.items()
            if value is False
        }
        return self._first(lambda example: not declined or example.name in declined)

    def _first(self, fits: Callable[[Example], bool]) -> Response:
        return next(filter(fits, self._success), self._success[0]).response


def _is_after(page: Any, position: int) -> bool:
    """Tell whether a page of changes begins after the position."""
    changes = page.get("changes", []) if isinstance(page, dict) else []
    return [change["sequence"] for change in changes[:1]] == [position + 1]


def _examples(
    operation: Operation, status: int, definition: Mapping[str, Any], paths: Mapping[str, str]
) -> Iterator[Example]:
    if "content" not in definition:
        headers = _headers(definition, None, paths)
        yield Example("none", None, operation.to_response(Response(status, headers=headers)))
    for media_type, content in definition.get("content", {}).items():
        for name, example in content["examples"].items():
            value = example["value"]
            headers = _headers(definition, value, paths)
            if media_type != "application/json":  # only JSON is validated
                text = value.encode() if isinstance(value, str) else orjson.dumps(value)
                response = Response(status, text, headers, media_type)
            else:
                body, extra = _split_extra_members(value, content["schema"])
                response = operation.to_response(Response(status, body, headers, media_type, extra))
            yield Example(name, value, response)


def _split_extra_members(value: Any, schema: Mapping[str, Any]) -> tuple[Any, dict[str, bytes]]:
    """Return `value` without its optional members, and the JSON of those members."""
    members = [schema, *schema.get("allOf", ())]
    optional = {name for member in members for name in member.get("properties", ())}
    optional.difference_update(*(member.get("required", ()) for member in members))
    if not isinstance(value, dict) or optional.isdisjoint(value):
        return value, {}
    extra = {name: orjson.dumps(value[name]) for name in optional & value.keys()}
    return {name: item for name, item in value.items() if name not in extra}, extra


def _headers(definition: Mapping[str, Any], value: Any, paths: Mapping[str, str]) -> dict[str, str]:
    """Return the example headers. Location follows the link to the get_ operation."""
    headers = {
        name: str(header["example"])
        for name, header in definition.get("headers", {}).items()
        if name != "X-Request-Id"
    }
    for link in definition.get("links", {}).values():
        if "Location" in headers and link["operationId"].startswith("get_"):
            ids = {name: value[e.rpartition("/")[2]] for name, e in link["parameters"].items()}
            headers["Location"] = paths[link["operationId"]].format_map(ids)
    return headers


def _similarity(example: Any, body: Any) -> int:
    """Count the properties that two values share at any depth; equal ones twice."""
    if not (isinstance(example, dict) and isinstance(body, dict)):
        return 0
    return sum(
        1 + (example[name] == body[name]) + _similarity(example[name], body[name])
        for name in example.keys() & body.keys()
        if (example[name] is None) == (body[name] is None)
    )
