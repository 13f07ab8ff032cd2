"""Contracts and handlers that do not fit each other prevent the start."""

import asyncio
from typing import Any

import pytest

from agent_api.contract.spec import ContractError
from tests.framework.apps import Handlers, contract, framework_app

ONE = """
paths:
  /one:
    get:
      operationId: get_one
      parameters:
        - {name: size, in: query, schema: {type: integer}}
      responses:
        '200': {description: One.}
"""


SIZE = {"name": "size", "in": "query", "schema": {"type": "integer"}}
KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}


def start(definition: dict[str, Any], handlers: Handlers) -> None:
    """Run the startup of the application, without serving."""

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(_message: object) -> None:
        """Ignore messages."""

    asyncio.run(framework_app(definition, handlers)({"type": "lifespan"}, receive, send))


def one_with(**changes: Any) -> dict[str, Any]:
    definition = contract(ONE)
    definition["paths"]["/one"]["get"] |= changes
    return definition


def get_one(size: int) -> None:
    """Take all arguments of the contract."""


async def on_the_loop(size: int, principal: object) -> None:
    """Take all arguments of the contract, on the event loop."""


def without_arguments() -> None:
    """Take fewer arguments than the contract has."""


def with_another(size: int, colour: str) -> None:
    """Take more arguments than the contract has."""


def with_a_principal(size: int, principal: object) -> None:
    """Take a principal, although the operation requires no token."""


@pytest.mark.parametrize(
    ("definition", "handlers", "message"),
    [
        (
            one_with()
            | {"paths": contract(ONE)["paths"] | {"/two": contract(ONE)["paths"]["/one"]}},
            {"get_one": get_one},
            "Duplicate operationIds: get_one",
        ),
        (one_with(), {}, "Missing handler for operationId get_one"),
        (
            one_with(),
            {"get_one": get_one, "get_two": get_one},
            "Missing operation for handlers: get_two",
        ),
        (one_with(), {"get_one": without_arguments}, "get_one: the contract has .*size"),
        (one_with(), {"get_one": with_another}, "get_one: .* takes .*colour"),
        (one_with(), {"get_one": with_a_principal}, "get_one: .* takes .*principal"),
        (
            one_with(parameters=[{"name": "size", "in": "query", "schema": {"type": "array"}}]),
            {"get_one": get_one},
            "parameter size",
        ),
        (
            one_with(parameters=[{"name": "size", "in": "cookie", "schema": {"type": "string"}}]),
            {"get_one": get_one},
            "parameter size",
        ),
        (
            one_with(parameters=[SIZE, KEY]),
            {"get_one": get_one},
            "get_one: Idempotency-Key requires a token",
        ),
        (
            one_with(parameters=[SIZE, KEY], security=[{"token": []}])
            | {"components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}},
            {"get_one": on_the_loop},
            "get_one: Idempotency-Key requires .* without async",
        ),
    ],
    ids=[
        "an operationId twice",
        "no handler",
        "a handler without an operation",
        "too few arguments",
        "too many arguments",
        "a principal without a token",
        "an unsupported type",
        "an unsupported place",
        "a key without a token",
        "a key on the event loop",
    ],
)
def test_contract_that_does_not_fit_its_handlers_prevents_startup(
    definition: dict[str, Any], handlers: Handlers, message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        start(definition, handlers)
