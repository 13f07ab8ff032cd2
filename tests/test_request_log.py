"""The line of a request: the ids of its trace, strictly read, and the ids beside other lines."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from agent_api.http.request_context import Trace, read_trace
from tests.servers import Server
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
"""Each is against https://www.w3.org/TR/trace-context/#traceparent-header in one point."""


def line_of(server: Server, request_id: str) -> dict[str, Any]:
    """Return the line of the request, which comes after its answer."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in server.log.read_text().splitlines():
            if request_id in line and line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        time.sleep(0.01)
    raise AssertionError(f"no line of {request_id}")


def ask(server: Server, headers: list[tuple[str, str]]) -> dict[str, Any]:
    """Ask for the health with `headers`, and return the line that it wrote."""
    request_id = str(uuid.uuid4())
    sent = [("x-request-id", request_id), *headers]
    answer = httpx.get(f"{server.url}/healthz", headers=sent, verify=False)
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == request_id
    return line_of(server, request_id)


def test_a_line_names_the_trace_and_the_span_of_the_caller(server: Server) -> None:
    line = ask(server, [("traceparent", VALID), ("tracestate", "vendor=1")])

    assert line["trace_id"] == TRACE_ID
    assert line["span_id"] == SPAN_ID
    assert line["route"] == "/healthz"


def test_a_later_version_may_say_more() -> None:
    for version in ("01", "cc", "fe"):
        for end in ("", "-", "-more-of-it"):
            given = f"{version}-{TRACE_ID}-{SPAN_ID}-01{end}".encode()
            assert read_trace([(b"traceparent", given)]) == Trace(TRACE_ID, SPAN_ID)


def test_invalid_traceparent_is_ignored() -> None:
    accepted = [given for given in INVALID if read_trace([(b"traceparent", given.encode())])]

    assert not accepted


def test_an_invalid_traceparent_is_no_error(server: Server) -> None:
    for headers in (
        [("traceparent", f"ff-{TRACE_ID}-{SPAN_ID}-01")],
        [("traceparent", VALID), ("traceparent", VALID)],
    ):
        assert not {"trace_id", "span_id"} & ask(server, headers).keys()


def test_a_path_outside_the_contract_is_not_in_the_log(server: Server) -> None:
    request_id = str(uuid.uuid4())
    secret = uuid.uuid4().hex

    httpx.get(f"{server.url}/{secret}", headers={"X-Request-Id": request_id}, verify=False)

    line = line_of(server, request_id)
    assert (line["status"], line["route"], line["operation"]) == (404, None, None)
    assert secret not in server.log.read_text()


def test_other_lines_of_a_request_name_it_and_its_trace_too(server: Server) -> None:
    request_id = str(uuid.uuid4())
    headers = {"X-Request-Id": request_id, "traceparent": VALID, "Authorization": "Bearer forged"}

    answer = httpx.get(f"{server.url}/conversations", headers=headers, verify=False)

    assert answer.status_code == 401
    refusal = line_of(server, request_id)
    assert refusal["message"] == "token refused"
    assert (refusal["trace_id"], refusal["span_id"]) == (TRACE_ID, SPAN_ID)


def test_lines_of_many_requests_at_once_stay_whole(server: Server) -> None:
    before = len(server.log.read_text())

    def ask_often(number: int) -> None:
        with httpx.Client(base_url=server.url, verify=False) as client:
            for _ in range(25):
                client.get("/conversations", headers={"X-Request-Id": f"{'x' * 120}{number}"})

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask_often, range(8)))
    time.sleep(0.1)

    for line in server.log.read_text()[before:].splitlines():
        json.loads(line)


def test_what_is_refused_before_it_is_a_request_has_a_line_as_well(server: Server) -> None:
    answer = ask_raw(server, b"NO-HTTP\r\n\r\n")

    line = line_of(server, answer.headers["x-request-id"])
    assert answer.status == 400
    assert (line["message"], line["status"]) == ("request refused", 400)
