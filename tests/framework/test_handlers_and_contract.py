"""Handlers that follow the contract, and handlers that do not."""

import logging
from typing import Any

import httpx
import pytest

from tests.contract import assert_problem as assert_problem_with_id
from tests.contract import places
from tests.framework.apps import contract, framework_app, serving
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
