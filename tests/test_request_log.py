"""What the log says about a request: one line, the ids of its trace, and no secrets."""

import hashlib
import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent_api.http.request_context import Trace, read_trace
from tests.servers import SECRET, Server, sign, start_server
from tests.wire import ask as ask_raw

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN_ID = "00f067aa0ba902b7"
VALID = f"00-{TRACE_ID}-{SPAN_ID}-01"
INVALID = [
    "",
    "00",
    VALID[:-1],
    f"{VALID}-",
    f"{VALID}-more",
    f"{VALID}0",
    f" {VALID} x",
    VALID.upper(),
    f"ff-{TRACE_ID}-{SPAN_ID}-01",
    f"0-{TRACE_ID}-{SPAN_ID}-01",
    f"0g-{TRACE_ID}-{SPAN_ID}-01",
    f"00-{'0' * 32}-{SPAN_ID}-01",
    f"00-{TRACE_ID}-{'0' * 16}-01",
    f"00-{TRACE_ID}-{SPAN_ID}-zz",
    f"00-{TRACE_ID[1:]}-{SPAN_ID}-01",
    f"00-{TRACE_ID}{SPAN_ID}-01",
    f"00-{TRACE_ID[1:]}٣-{SPAN_ID}-01",
    f"01-{TRACE_ID}-{SPAN_ID}-01.more",
    f"{VALID}, {VALID}",
]
"""Each breaks one rule of https://www.w3.org/TR/trace-context/#traceparent-header."""


def line_of(server: Server, request_id: str, message: str | None = None) -> dict[str, Any]:
    """Wait for a line of the request, which is written after the response; return the first."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for line in whole_lines(server):
            if request_id in line and line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                if message in (None, found["message"]):
                    return found
        time.sleep(0.01)
    raise AssertionError(f"no line of {request_id}")


def whole_lines(server: Server) -> list[str]:
    """Return the lines of the log without the one that is being written."""
    return server.log.read_text().split("\n")[:-1]


def ask(server: Server, headers: list[tuple[str, str]]) -> dict[str, Any]:
    """Send GET /healthz with `headers`, and return its line in the log."""
    request_id = str(uuid.uuid4())
    sent = [("x-request-id", request_id), *headers]
    answer = httpx.get(f"{server.url}/healthz", headers=sent, verify=False)
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == request_id
    return line_of(server, request_id)


def test_line_names_the_trace_and_span_of_the_caller(server: Server) -> None:
    line = ask(server, [("traceparent", VALID), ("tracestate", "vendor=1")])

    assert line["trace_id"] == TRACE_ID
    assert line["span_id"] == SPAN_ID
    assert line["route"] == "/healthz"


def test_traceparent_of_a_later_version_may_be_longer() -> None:
    for version in ("01", "cc", "fe"):
        for end in ("", "-", "-more-of-it"):
            given = f"{version}-{TRACE_ID}-{SPAN_ID}-01{end}".encode()
            assert read_trace([(b"traceparent", given)]) == Trace(TRACE_ID, SPAN_ID)


def test_invalid_traceparent_is_ignored() -> None:
    accepted = [given for given in INVALID if read_trace([(b"traceparent", given.encode())])]

    assert not accepted


def test_request_with_an_invalid_traceparent_has_no_trace_in_its_line(server: Server) -> None:
    for headers in (
        [("traceparent", f"ff-{TRACE_ID}-{SPAN_ID}-01")],
        [("traceparent", VALID), ("traceparent", VALID)],
    ):
        assert not {"trace_id", "span_id"} & ask(server, headers).keys()


def test_path_outside_the_contract_is_not_logged(server: Server) -> None:
    request_id = str(uuid.uuid4())
    secret = uuid.uuid4().hex

    httpx.get(f"{server.url}/{secret}", headers={"X-Request-Id": request_id}, verify=False)

    line = line_of(server, request_id)
    assert (line["status"], line["route"], line["operation"]) == (404, None, None)
    assert secret not in server.log.read_text()


def test_every_line_of_a_request_names_its_id_and_trace(server: Server) -> None:
    request_id = str(uuid.uuid4())
    headers = {"X-Request-Id": request_id, "traceparent": VALID, "Authorization": "Bearer forged"}

    answer = httpx.get(f"{server.url}/conversations", headers=headers, verify=False)

    assert answer.status_code == 401
    refusal = line_of(server, request_id)
    assert refusal["message"] == "token refused"
    assert (refusal["trace_id"], refusal["span_id"]) == (TRACE_ID, SPAN_ID)


def test_lines_of_concurrent_requests_are_not_mixed(server: Server) -> None:
    before = len(whole_lines(server))

    def ask_often(number: int) -> None:
        with httpx.Client(base_url=server.url, verify=False) as client:
            for _ in range(25):
                client.get("/conversations", headers={"X-Request-Id": f"{'x' * 120}{number}"})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask_often, range(8)))

    for line in whole_lines(server)[before:]:
        json.loads(line)


def test_malformed_request_has_a_line(server: Server) -> None:
    answer = ask_raw(server, b"NO-HTTP\r\n\r\n")

    line = line_of(server, answer.headers["x-request-id"])
    assert answer.status == 400
    assert (line["message"], line["status"]) == ("request refused", 400)


@pytest.mark.process
def test_text_log_has_one_line_per_request(database_url: str, tmp_path: Path) -> None:
    with start_server(database_url, tmp_path, log_format="text") as server:
        httpx.get(f"{server.url}/healthz", headers={"X-Request-Id": "my-request"})

    (line,) = (line for line in server.log.read_text().splitlines() if "my-request" in line)
    for word in ("INFO", "method=GET", "route=/healthz", "operation=get_health", "status=200"):
        assert word in line


def test_json_log_has_one_line_per_request_and_no_secrets(
    server: Server, new_client: Callable[..., httpx.Client]
) -> None:
    user_id = f"maria.keller-{uuid.uuid4()}"
    content = f"Nobody else may read this: {uuid.uuid4()}"
    maria = new_client(user_id)
    expired = sign(user_id, seconds=-3600)
    request_ids = [str(uuid.uuid4()) for _ in range(5)]

    def send(number: int, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"X-Request-Id": request_ids[number]} | more.pop("headers", {})
        return maria.request(method, path, headers=headers, **more)

    made = send(0, "POST", "/conversations", json={"title": content, "metadata": {"note": content}})
    path = f"/conversations/{made.json()['id']}/messages"
    send(1, "POST", path, json={"role": "user", "content": content})
    send(2, "POST", path, json={"role": content, "content": [content]})
    send(3, "GET", path, params={"cursor": content})
    send(4, "GET", path, headers={"Authorization": f"Bearer {expired}"})

    line_of(server, request_ids[4], "request")
    log = server.log.read_text()
    lines = [json.loads(line) for line in whole_lines(server) if line.startswith("{")]
    about = [line for line in lines if line.get("request_id") in request_ids]
    mine = [line for line in about if line["message"] == "request"]
    assert [
        (line["request_id"], line["method"], line["operation"], line["status"]) for line in mine
    ] == [
        (request_ids[0], "POST", "create_conversation", 201),
        (request_ids[1], "POST", "create_message", 201),
        (request_ids[2], "POST", "create_message", 422),
        (request_ids[3], "GET", "list_messages", 422),
        (request_ids[4], "GET", "list_messages", 401),
    ]
    messages = "/conversations/{conversation_id}/messages"
    assert [line["route"] for line in mine] == ["/conversations", *[messages] * 4]
    user = hashlib.sha256(user_id.encode()).hexdigest()[:12]
    assert [line.get("user") for line in mine] == [user] * 4 + [None]
    assert all(0 < line["duration_ms"] < 30_000 for line in mine)
    token = maria.headers["Authorization"].removeprefix("Bearer ")
    for secret in (content, user_id, token, expired, SECRET):
        assert secret not in log
