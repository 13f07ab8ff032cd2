"""`agent-api mock` returns the contract's examples and refuses what the server refuses."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.calls import pages, read, refusals, short
from tests.contract import CONTRACT, OPERATIONS, SECURED, WITH_BODY, Operation, assert_problem
from tests.servers import Server, start_mock

MARIAS: dict[str, str] = {
    part["name"]: part["example"]
    for part in CONTRACT["components"]["parameters"].values()
    if part["in"] == "path"
}
CONVERSATION = f"/conversations/{MARIAS['conversation_id']}"

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_mock(tmp_path_factory.mktemp("mock")) as server:
        yield server


@pytest.fixture
def client(mock: Server) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer anything"}
    with httpx.Client(base_url=mock.url, headers=headers, timeout=30, verify=False) as client:
        yield client


def lease_of(operation: Operation) -> dict[str, str]:
    """Return the header with a lease, if the operation accepts one."""
    return {"Run-Lease": "anything"} if operation.takes_lease else {}


@pytest.mark.smoke
def test_every_example_of_a_response_can_be_preferred(client: httpx.Client) -> None:
    failures = []
    for operation in OPERATIONS:
        for status, examples in operation.responses.items():
            for name, value in examples.items():
                kind = "application/json" if status < 300 else "application/problem+json"
                kind = "text/event-stream" if isinstance(value, str) else kind
                headers = {"Prefer": f"code={status}, example={name}"} | lease_of(operation)
                response = operation.send(client, MARIAS, headers=headers, whole=True)
                if (
                    (response.status_code, response.headers["content-type"]) != (status, kind)
                    or (response.text if isinstance(value, str) else response.json()) != value
                    or not response.headers["x-request-id"]
                ):
                    failures.append((operation.operation_id, status, name, response.text))
    assert not failures, failures


@pytest.mark.smoke
def test_example_of_a_request_gets_the_response_of_the_same_name(client: httpx.Client) -> None:
    failures = []
    for operation in WITH_BODY:
        for name, body in operation.requests.items():
            response = operation.send(client, MARIAS, json=body)
            if (response.status_code, response.json()) != (
                operation.success,
                operation.responses[operation.success][name],
            ):
                failures.append((operation.operation_id, name, response.text))
    assert not failures, failures


def test_every_operation_responds_without_a_preference(client: httpx.Client) -> None:
    statuses = {
        o.operation_id: o.send(client, MARIAS, headers=lease_of(o)).status_code for o in OPERATIONS
    }

    assert statuses == {o.operation_id: o.success for o in OPERATIONS}


@pytest.mark.parametrize(
    ("decision", "shape"),
    [
        ({"routing_decision": {"confidence": 0.5}, "execution_plan": []}, "execution_plan"),
        ({"thoughts": [{"message": "Add it up."}]}, "thoughts"),
        ({"selected_tools": ["search"], "confidence": 0.5}, "selected_tools"),
    ],
)
def test_create_message_returns_the_example_with_the_same_shape_of_decision(
    decision: dict[str, Any], shape: str, client: httpx.Client
) -> None:
    body = {"role": "assistant", "content": "Done.", "routing_decision": decision}

    response = client.post(f"{CONVERSATION}/messages", json=body)

    assert shape in response.json()["routing_decision"]


def test_create_message_of_an_assistant_returns_one_of_an_assistant(client: httpx.Client) -> None:
    body = {"role": "assistant", "content": "Something that no example says."}

    response = client.post(f"{CONVERSATION}/messages", json=body)

    assert response.json()["role"] == "assistant"


@pytest.mark.parametrize("path", ["/conversations", f"{CONVERSATION}/messages", "/runs"])
def test_paging_by_cursor_ends(path: str, client: httpx.Client) -> None:
    followed = list(pages(client, path))

    assert len(followed) <= 2


def test_paging_by_offset_ends(client: httpx.Client) -> None:
    page = read(client, f"{CONVERSATION}/messages", offset=2)

    assert page["next_cursor"] is None


def test_list_changes_leads_to_the_end_of_the_log(client: httpx.Client) -> None:
    end = read(client, "/changes")
    page = read(client, "/changes", after=1)

    assert (end["changes"], end["last_sequence"]) == ([], 5)
    assert [each["sequence"] for each in page["changes"]] == [2, 3, 4, 5]
    assert read(client, "/changes", after=5) == end


def test_list_messages_pages_through_all_messages(client: httpx.Client) -> None:
    contents = [
        m["id"] for page in pages(client, f"{CONVERSATION}/messages") for m in page["messages"]
    ]

    assert len(set(contents)) == len(contents) == 4


def test_get_conversation_can_leave_out_its_messages(client: httpx.Client) -> None:
    assert "messages" in read(client, CONVERSATION)
    assert "messages" not in read(client, CONVERSATION, include_messages=False)


@pytest.mark.parametrize("path", ["/conversations", f"{CONVERSATION}/messages", "/runs"])
def test_location_of_a_created_row_can_be_read(path: str, client: httpx.Client) -> None:
    bodies = {"/runs": {"agent_id": "document-agent"}, "/conversations": {}}
    made = client.post(path, json=bodies.get(path, {"role": "user", "content": "Hello"}))

    found = client.get(made.headers["location"])

    assert found.status_code == 200
    assert found.json()["created_at"]


def test_status_alone_can_be_preferred(client: httpx.Client) -> None:
    problem = assert_problem(client.get(CONVERSATION, headers={"Prefer": "code=404"}), 404)

    assert problem["detail"] == "No conversation has this id."


def test_name_alone_can_be_preferred(client: httpx.Client) -> None:
    saved = client.get("/users/me/chat-settings", headers={"Prefer": 'example="saved"'})
    expired = client.get("/conversations", headers={"Prefer": "example=expired"})

    assert saved.json()["model"] == "llama-3.3-70b"
    assert_problem(expired, 401)
    assert expired.headers["www-authenticate"] == "Bearer"


def test_problem_has_the_headers_of_the_contract(client: httpx.Client) -> None:
    response = client.get("/conversations", headers={"Prefer": "code=503"})

    assert_problem(response, 503)
    assert response.headers["retry-after"] == "1"


def test_unknown_preference_lists_the_known_ones(client: httpx.Client) -> None:
    response = client.get("/users/me/chat-settings", headers={"Prefer": "code=418"})

    assert response.status_code == 400
    assert "code=200, example=defaults or saved" in response.json()["detail"]


@pytest.mark.parametrize("value", ["return=minimal, wait=10", "x-code=404", 'foo="code=404"', ""])
def test_other_preferences_are_ignored(value: str, client: httpx.Client) -> None:
    response = client.get("/conversations", headers={"Prefer": value})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("value", "status"),
    [("Code=503", 503), ("wait=5, code=503; x=y", 503), ("code=503, code=500", 503)]
    + [(f"code={odd}", 400) for odd in ("", "'503'", "+503", "0503", "9" * 5000, "5\u06603", "é")],
    ids=short,
)
def test_preference_is_read_strictly(value: str, status: int, client: httpx.Client) -> None:
    response = client.get("/conversations", headers=[(b"Prefer", value.encode())])

    assert_problem(response, status)


def test_every_secured_operation_refuses_a_request_without_a_token(mock: Server) -> None:
    with httpx.Client(base_url=mock.url, verify=False) as nobody:
        statuses = {o.operation_id: o.send(nobody, MARIAS).status_code for o in SECURED}

    assert statuses == dict.fromkeys(statuses, 401)


def test_lease_is_refused_and_required_as_by_the_server(client: httpx.Client) -> None:
    lease = {"Run-Lease": "anything"}
    (heartbeat,) = [o for o in OPERATIONS if o.operation_id == "heartbeat_run"]
    refused = [o for o in SECURED if not o.takes_lease]

    assert_problem(heartbeat.send(client, MARIAS), 403)
    assert {o.send(client, MARIAS, headers=lease).status_code for o in refused} == {403}


def test_requests_that_break_the_contract_are_refused(client: httpx.Client) -> None:
    too_many = client.get("/conversations", params={"limit": 101})
    no_content = client.post(f"{CONVERSATION}/messages", json={"role": "user"})
    no_json = client.post("/runs", content="{", headers={"Content-Type": "application/json"})
    a_form = client.post("/runs", data={"agent_id": "document-agent"})

    assert refusals(too_many) == {("query", "/limit")}
    assert refusals(no_content) == {("body", "/content")}
    assert_problem(no_json, 400)
    assert_problem(a_form, 415)
    assert_problem(client.delete("/conversations"), 405)
    assert_problem(client.get("/conversation"), 404)


def test_create_conversation_accepts_a_key_and_refuses_an_invalid_one(client: httpx.Client) -> None:
    answers = [
        client.post("/conversations", json={}, headers={"Idempotency-Key": key})
        for key in ("a-key", "a key")
    ]

    assert answers[0].status_code == 201
    assert refusals(answers[1]) == {("header", "/Idempotency-Key")}


def test_pages_of_any_origin_may_send_preferences(client: httpx.Client) -> None:
    preflight = client.options(
        "/conversations",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "GET",
            "Access-Control-Request-Headers": "authorization, prefer",
        },
    )
    response = client.get("/conversations", headers={"Origin": "http://localhost:3000"})

    assert preflight.status_code == 200, preflight.text
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert response.headers["access-control-allow-origin"] == "*"


def test_ratelimit_header_of_a_429_shows_that_nothing_is_left(client: httpx.Client) -> None:
    over = client.get("/conversations", headers={"Prefer": "code=429"})
    within = client.get("/conversations")

    assert over.headers["ratelimit"] == '"user";r=0;t=1'
    assert over.headers["retry-after"] == "1"
    assert within.headers["ratelimit"] == '"user";r=599;t=1'


def test_health_checks_have_no_ratelimit_header(client: httpx.Client) -> None:
    answer = client.get("/readyz", headers={"Prefer": "code=503"})

    assert answer.status_code == 503
    assert "ratelimit" not in answer.headers


def test_get_conversation_has_the_same_tag_with_and_without_messages(
    client: httpx.Client,
) -> None:
    whole = client.get(CONVERSATION)
    bare = client.get(CONVERSATION, params={"include_messages": False})

    assert "messages" in whole.json()
    assert "messages" not in bare.json()
    assert whole.headers["etag"] == bare.headers["etag"]
