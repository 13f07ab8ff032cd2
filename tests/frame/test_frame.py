"""What the frame does with handlers that keep the contract, and with those that do not."""

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from agent_api.contract.spec import ContractError
from tests.contract import assert_problem as assert_problem_with_id
from tests.contract import places
from tests.frame.parcels import CONTRACT, HANDLERS, LINES, SECRET_DETAIL, Line
from tests.frame.serving import Handlers, contract, frame_app, serving
from tests.servers import sign


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with serving(frame_app(CONTRACT, HANDLERS)) as connected:
        yield connected


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """Here nothing gives requests an id: the log does, which is not part of this application."""
    response.headers["x-request-id"] = "none"
    return assert_problem_with_id(response, status)


# What a handler returns


@pytest.mark.parametrize("parcel_id", ["right", "a-response"])
def test_a_handler_returns_data_or_a_response(client: httpx.Client, parcel_id: str) -> None:
    """The contract documents two media types for it, and plain data is still the JSON one."""
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
def test_a_handler_that_breaks_the_contract_is_a_500_whose_reason_only_the_log_has(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, parcel_id: str, logged: str
) -> None:
    with caplog.at_level(logging.ERROR):
        response = client.get(f"/parcels/{parcel_id}")

    assert assert_problem(response, 500) == {
        "type": "/problems/internal-error",
        "title": "Internal server error",
        "status": 500,
        "detail": "The server failed. Report the X-Request-Id of this answer.",
    }
    assert logged in caplog.text


def test_the_log_of_a_broken_answer_does_not_quote_it(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.get("/parcels/wrong-shape")

    assert SECRET_DETAIL not in caplog.text


def test_a_header_that_the_contract_requires_must_be_given(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with_it = client.post("/parcels", json={"found": True})
    without = client.post("/parcels", json={"found": False})

    assert with_it.status_code == 201
    assert with_it.headers["location"] == "/parcels/1"
    assert_problem(without, 500)
    assert "Location" in caplog.text


def test_an_answer_without_content_has_no_media_type(client: httpx.Client) -> None:
    response = client.post("/pickups")

    assert response.status_code == 202
    assert response.content == b""
    assert "content-type" not in response.headers


def test_an_async_handler_runs_on_the_event_loop(client: httpx.Client) -> None:
    anonymous = client.get("/sender")
    known = client.get("/sender", headers={"Authorization": f"Bearer {sign('ada')}"})

    assert_problem(anonymous, 401)
    assert known.json() == {"user_id": "ada", "on_the_loop": True}


# What a handler is given


@pytest.mark.parametrize(
    "name", ["beside_a_reference", "beside_all_of", "beside_any_of", "beside_enum"]
)
def test_nullable_admits_null_wherever_it_stands(client: httpx.Client, name: str) -> None:
    null = client.post("/labels", json={name: None})
    wrong = client.post("/labels", json={name: []})

    assert null.json() == {name: None}
    assert places(assert_problem(wrong, 422)) == {f"body:/{name}"}


def test_null_is_refused_where_nullable_does_not_stand(client: httpx.Client) -> None:
    response = client.post("/labels", json={"not_nullable": None})

    assert places(assert_problem(response, 422)) == {"body:/not_nullable"}


def test_braces_in_the_contract_stay_as_they_are(client: httpx.Client) -> None:
    assert client.get("/greeting").json()["template"] == "Dear {{name}}"


def test_a_header_parameter_is_an_integer(client: httpx.Client) -> None:
    right = client.get("/greeting", headers={"X-Copies": "7"})
    twice = client.get("/greeting", headers=[("X-Copies", "1"), ("x-copies", "2")])

    assert client.get("/greeting").json()["copies"] == 1
    assert right.json()["copies"] == 7
    assert places(assert_problem(twice, 422)) == {"header:/X-Copies"}
    for wrong in ("0", "10", "1_0", "seven", ""):
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
          description: The same tree.
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


def test_a_recursive_schema_holds_at_every_level() -> None:
    tree = {"name": "a", "parent": None, "children": [{"name": "b", "children": [{"name": "c"}]}]}
    crooked = {"name": "a", "children": [{"name": "b", "children": [{"name": 1}, {}]}]}

    with serving(frame_app(contract(TREE), {"create_tree": lambda body: body})) as client:
        right = client.post("/trees", json=tree)
        wrong = client.post("/trees", json=crooked)

    assert right.json() == tree
    assert places(assert_problem(wrong, 422)) == {
        "body:/children/0/children/0/name",
        "body:/children/0/children/1/name",
    }


# Streams


KINDS = pytest.mark.parametrize("kind", ["plain", "async"])


@pytest.fixture
def line() -> Line:
    """A stream, which the handler finds by its name."""
    new = Line()
    LINES[new.name] = new
    return new


@KINDS
def test_a_stream_is_sent_piece_by_piece_and_not_validated(
    client: httpx.Client, line: Line, kind: str
) -> None:
    with client.stream("GET", f"/tracking/{kind}-{line.name}") as response:
        pieces = response.iter_raw()
        first = next(pieces)
        made_by_then = line.made
        line.may_go_on.set()
        rest = b"".join(pieces)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    assert first == b"[1]\n"
    assert made_by_then == 1, "the first piece arrived before the second was made"
    assert rest == b"[2]\n[3]\n"
    assert line.ended.is_set()


@KINDS
def test_a_client_that_leaves_ends_the_stream(client: httpx.Client, line: Line, kind: str) -> None:
    with client.stream("GET", f"/tracking/{kind}-{line.name}") as response:
        next(response.iter_raw())

    assert line.ended.wait(5), "the generator was never closed"
    assert line.made == 1


@KINDS
def test_head_of_a_stream_sends_none_of_it(client: httpx.Client, line: Line, kind: str) -> None:
    response = client.head(f"/tracking/{kind}-{line.name}")
    afterwards = client.get("/greeting")  # on the same connection: the first request is over

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    assert line.made <= 1
    assert afterwards.status_code == 200


def test_a_stream_that_fails_is_cut_off_and_logged(
    client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(httpx.RemoteProtocolError), client.stream("GET", "/tracking/broken-") as cut:
        cut.read()

    assert cut.status_code == 200
    assert SECRET_DETAIL in caplog.text


def test_slow_streams_do_not_hold_up_other_requests(client: httpx.Client) -> None:
    """More of them than the application has threads."""
    lines = [Line() for _ in range(8)]
    LINES.update({line.name: line for line in lines})
    arrived = threading.Barrier(9)

    def hold(line: Line) -> None:
        with client.stream("GET", f"/tracking/plain-{line.name}") as response:
            next(response.iter_raw())
            arrived.wait(10)
            arrived.wait(10)

    threads = [threading.Thread(target=hold, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    arrived.wait(10)
    answer = client.get("/parcels/right")
    arrived.wait(10)
    for thread in threads:
        thread.join()

    assert answer.status_code == 200


# What is refused at the start


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
    """Start the application as a server does, without serving."""

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(_message: object) -> None:
        """Take what the application says."""

    asyncio.run(frame_app(definition, handlers)({"type": "lifespan"}, receive, send))


def one_with(**changes: Any) -> dict[str, Any]:
    definition = contract(ONE)
    definition["paths"]["/one"]["get"] |= changes
    return definition


def get_one(size: int) -> None:
    """Take what the contract gives."""


async def on_the_loop(size: int, principal: object) -> None:
    """Take what the contract gives, on the event loop."""


def without_arguments() -> None:
    """Take less than the contract gives."""


def with_another(size: int, colour: str) -> None:
    """Take more than the contract gives."""


def with_a_principal(size: int, principal: object) -> None:
    """Take a caller, who is not known: the operation asks for no token."""


@pytest.mark.parametrize(
    ("definition", "handlers", "said"),
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
        "an idle handler",
        "an argument too few",
        "an argument too many",
        "a principal without a token",
        "a type that is not read",
        "a place that is not read",
        "a key without a token",
        "a key on the event loop",
    ],
)
def test_a_contract_that_does_not_fit_its_handlers_is_refused_at_the_start(
    definition: dict[str, Any], handlers: Handlers, said: str
) -> None:
    with pytest.raises(ContractError, match=said):
        start(definition, handlers)
