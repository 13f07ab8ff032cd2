"""Finds the handler of each operationId in a package of handlers."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

from connexion.resolver import Resolver

from agent_api.contract.operation import Operation
from agent_api.contract.spec import ContractError

Handler = Callable[..., Any]


def collect_handlers(package: ModuleType) -> dict[str, Handler]:
    """Return every public function of every module of `package` by its name.

    Raises ContractError if two functions have the same name.
    """
    found: dict[str, Handler] = {}
    for module_info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(module_info.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if name.startswith("_") or function.__module__ != module.__name__:
                continue
            if name in found:
                raise ContractError(f"Two handlers are named {name}: rename one")
            found[name] = function
    return found


class HandlerResolver(Resolver):  # type: ignore[misc]  # connexion ships no types
    """Resolves operationIds to handlers of the same name, without module paths."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers
        super().__init__(self._find)

    def _find(self, operation_id: str) -> Handler:
        try:
            return self._handlers[operation_id]
        except KeyError as error:
            raise ContractError(f"Missing handler for operationId {operation_id}") from error

    def check(self, operations: Sequence[Operation]) -> None:
        """Raise ContractError unless every handler matches one operation."""
        for operation in operations:
            operation.check_signature()
        if unused := self._handlers.keys() - {operation.operation_id for operation in operations}:
            names = ", ".join(sorted(unused))
            raise ContractError(f"Missing operation for handlers: {names}")
