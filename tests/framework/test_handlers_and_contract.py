"""Handlers that follow the contract, and handlers that do not."""

import asyncio
import logging
from typing import Any

import httpx
import pytest

from agent_api.contract.spec import ContractError
from tests.contract import assert_problem as assert_problem_with_id
from tests.contract import places
from tests.framework.apps import Handlers, contract, framework_app, serving
from tests.framework.parcels import SECRET_DETAIL
from tests.servers import sign


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Assert a problem; this application has no request log, which would set X-Request-Id."""
    response.headers["x-request-id"] = "none"
    return assert_problem_with_id(response, status)


# Return values


@pytest.mark.parametrize("parcel_id", ["right", "a-response"])
def test_handler_may_return_data_or_response(client: httpx.Client, parcel_id: str) -> None:
    """The contract documents two media types; plain data is sent as JSON."""
    response = client.get(f"/parcels/{parcel_id}")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json()["weight"] == 5


@pytest.mark.parametrize(
    ("parcel_id", "logged"),
    [
        ("wrong-shape", "/weight"),
        ("nothing", "get_parcel"),
        ("unserialisable", "not JSON serializable"),
        ("wrong-status", "status 299"),
        ("wrong-problem", "status is not in the contract"),
        ("raises", SECRET_DETAIL),
    ],
)
def test_invalid_response_is_a_500_and_its_reason_is_only_logged(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, parcel_id: str, logged: str
) -> None:
    with caplog.at_level(logging.ERROR):
        response = client.get(f"/parcels/{parcel_id}")

    assert assert_problem(response, 500) == {
        "type": "/problems/internal-error",
        "title": "Internal server error",
        "status": 500,
        "detail": "The server failed. Report the X-Request-Id of this response.",
    }
    assert logged in caplog.text


def test_log_does_not_quote_invalid_response(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/parcels/wrong-shape")

    assert SECRET_DETAIL not in caplog.text


def test_missing_required_response_header_is_a_500(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    complete = client.post("/parcels", json={"found": True})
    incomplete = client.post("/parcels", json={"found": False})

    assert complete.status_code == 201
    assert complete.headers["location"] == "/parcels/1"
    assert_problem(incomplete, 500)
    assert "Location" in caplog.text


def test_response_without_content_has_no_content_type(client: httpx.Client) -> None:
    response = client.post("/pickups")

    assert response.status_code == 202
    assert response.content == b""
    assert "content-type" not in response.headers


def test_async_handler_runs_on_the_event_loop(client: httpx.Client) -> None:
    anonymous = client.get("/sender")
    known = client.get("/sender", headers={"Authorization": f"Bearer {sign('ada')}"})

    assert_problem(anonymous, 401)
    assert known.json() == {"user_id": "ada", "on_the_loop": True}


# Arguments


@pytest.mark.parametrize(
    "name",
    ["beside_a_reference", "beside_all_of", "beside_any_of", "beside_alternatives", "beside_enum"],
)
def test_nullable_allows_null_beside_any_keyword(client: httpx.Client, name: str) -> None:
    null = client.post("/labels", json={name: None})
    wrong = client.post("/labels", json={name: []})

    assert null.json() == {name: None}
    assert places(assert_problem(wrong, 422)) == {f"body:/{name}"}


def test_null_is_refused_without_nullable(client: httpx.Client) -> None:
    response = client.post("/labels", json={"not_nullable": None})

    assert places(assert_problem(response, 422)) == {"body:/not_nullable"}


def test_not_refuses_what_matches_all_of_it(client: httpx.Client) -> None:
    right = client.post("/labels", json={"not_both": "long enough"})
    wrong = client.post("/labels", json={"not_both": 7})

    assert right.json() == {"not_both": "long enough"}
    assert places(assert_problem(wrong, 422)) == {"body:/not_both"}


def test_braces_in_the_contract_are_not_a_template(client: httpx.Client) -> None:
    assert client.get("/greeting").json()["template"] == "Dear {{name}}"


def test_header_parameter_can_be_an_integer(client: httpx.Client) -> None:
    right = client.get("/greeting", headers={"X-Copies": "7"})
    twice = client.get("/greeting", headers=[("X-Copies", "1"), ("x-copies", "2")])

    assert client.get("/greeting").json()["copies"] == 1
    assert client.get("/greeting", headers={"X-Copies": ""}).json()["copies"] == 1
    assert right.json()["copies"] == 7
    assert places(assert_problem(twice, 422)) == {"header:/X-Copies"}
    for wrong in ("0", "10", "1_0", "seven"):
        refused = client.get("/greeting", headers={"X-Copies": wrong})
        assert places(assert_problem(refused, 422)) == {"header:/X-Copies"}, wrong


TREE = """
paths:
  /trees:
    post:
      operationId: create_tree
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Tree'}
      responses:
        '200':
          description: The request body.
          content:
            application/json:
              schema: {$ref: '#/components/schemas/Tree'}
        '422': {description: It is wrong.}
components:
  schemas:
    Tree:
      type: object
      required: [name]
      properties:
        name: {type: string}
        parent: {nullable: true, allOf: [{$ref: '#/components/schemas/Tree'}]}
        children: {type: array, items: {$ref: '#/components/schemas/Tree'}}
"""


def test_recursive_schema_is_validated_at_every_level() -> None:
    tree = {"name": "a", "parent": None, "children": [{"name": "b", "children": [{"name": "c"}]}]}
    invalid = {"name": "a", "children": [{"name": "b", "children": [{"name": 1}, {}]}]}

    with serving(framework_app(contract(TREE), {"create_tree": lambda body: body})) as client:
        right = client.post("/trees", json=tree)
        wrong = client.post("/trees", json=invalid)

    assert right.json() == tree
    assert places(assert_problem(wrong, 422)) == {
        "body:/children/0/children/0/name",
        "body:/children/0/children/1/name",
    }


# Errors at startup


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
