"""Requests that two servers could interpret differently are refused."""

import re
import time
import uuid

import pytest

from tests.protocol.cases import case
from tests.servers import Server
from tests.wire import Answer, Wire, ask, head

JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
EMPTY_OBJECT = b"2\r\n{}\r\n0\r\n\r\n"
INVALID_CHUNK = b"ZZ\r\n"
SECOND = head("GET /nothing", token=False)


def test_transfer_coding_other_than_chunked_is_refused(server: Server) -> None:
    refused = [
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: gzip", CHUNKED],
        [b"Transfer-Encoding: identity, chunked"],
        [b"Transfer-Encoding: chunked, chunked"],
        [CHUNKED, CHUNKED],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: chunked;q=1"],
        [b"Transfer-Encoding:"],
        [CHUNKED, b"Content-Length: 2"],
    ]
    for lines in refused:
        with case(lines), Wire(server) as wire:
            wire.send(head("POST /conversations", JSON, *lines) + EMPTY_OBJECT + SECOND)

            wire.receive("POST").problem(400)
            assert wire.receive_raw(1) == b""


def test_chunked_is_accepted_in_any_spelling(server: Server) -> None:
    for name in (b"chunked", b"Chunked", b" chunked "):
        raw = head("POST /conversations", JSON, b"Transfer-Encoding:" + name) + EMPTY_OBJECT

        assert ask(server, raw).status == 201, name


def test_contradicting_headers_are_refused(server: Server) -> None:
    for lines in (
        [JSON, b"Content-Type: text/plain"],
        [JSON, b"Content-Type: application/json; charset=latin-1"],
        [JSON, b"Content-Encoding: identity", b"Content-Encoding: gzip"],
    ):
        for ordered in (lines, lines[::-1]):
            with case(ordered):
                raw = head("POST /conversations", *ordered, b"Content-Length: 2") + b"{}"

                ask(server, raw).problem(400)


def test_identically_repeated_header_is_accepted(server: Server) -> None:
    raw = head("POST /conversations", JSON, JSON, b"Content-Length: 2") + b"{}"

    assert ask(server, raw).status == 201


def test_invalid_chunk_with_expect_100_continue_is_a_400(server: Server) -> None:
    before = server.log.read_text()
    with Wire(server) as wire:
        wire.send(
            head("POST /conversations", b"Expect: 100-continue", JSON, CHUNKED) + INVALID_CHUNK
        )

        wire.receive("POST").problem(400)
        assert wire.receive_raw(1) == b""

    assert_no_error(server, before)


def test_invalid_chunk_after_the_response_gets_no_second_response(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(head("POST /conversations", JSON, CHUNKED, token=False))
        wire.receive("POST").problem(401)

        wire.send(INVALID_CHUNK)

        assert wire.receive_raw(1000) == b""


FIRST = {
    "with a body": head("POST /conversations", JSON, b"Content-Length: 2") + b"{}",
    "without one": head("GET /conversations"),
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST.keys())
@pytest.mark.parametrize("more", [0, 1])
def test_requests_before_an_invalid_chunk_are_answered(
    more: int, first: bytes, server: Server
) -> None:
    before = server.log.read_text()
    with Wire(server) as wire:
        wire.send(first * (1 + more) + head("POST /conversations", JSON, CHUNKED) + INVALID_CHUNK)

        for number in range(1 + more):
            answer = wire.receive(first.partition(b" ")[0].decode())
            assert answer.status in {200, 201}
            assert answer.headers["connection"] == (None if number < more else "close")
        assert wire.receive_raw(1000) == b""

    assert_no_error(server, before)


def assert_no_error(server: Server, before: str) -> None:
    """Assert that requests since the log was `before` caused no ERROR, when all have ended."""
    assert '"ERROR"' not in said_since(server, before)


def said_since(server: Server, before: str) -> str:
    """Return what was logged since the log was `before`, up to the line of another request."""
    marker = str(uuid.uuid4())
    ask(server, head("GET /nothing", b"X-Request-Id: " + marker.encode()))
    while marker not in (said := server.log.read_text().removeprefix(before)):
        time.sleep(0.01)  # the line is written after the response
    return said


def test_each_refused_request_is_logged_once_with_its_request_id(server: Server) -> None:
    raws = [
        b"garbage\r\n\r\n",
        head("CONNECT elsewhere:443", b"Content-Length: 2"),
    ]
    for raw in raws:
        answer = ask(server, raw)
        answer.problem(400)

        assert len(log_lines(server, answer)) == 1


def log_lines(server: Server, answer: Answer) -> list[str]:
    """Return the log lines with the request id of `answer`, which may be written after it."""
    request_id = str(answer.headers["x-request-id"])
    while request_id + '"' not in (text := server.log.read_text()):
        time.sleep(0.01)
    return [line for line in text.splitlines() if request_id in line]


UNANSWERED = {
    "garbage": (0, b"garbage\r\n\r\n"),
    "an invalid chunk": (0, head("POST /conversations", JSON, CHUNKED) + INVALID_CHUNK),
    "one request too many": (16, SECOND),
}


@pytest.mark.parametrize("case", UNANSWERED.values(), ids=UNANSWERED.keys())
def test_refused_pipelined_request_is_logged_once(case: tuple[int, bytes], server: Server) -> None:
    waiting, refused = case
    before = server.log.read_text()
    with Wire(server) as wire:
        wire.send(SECOND * (1 + waiting) + refused)
        for _ in range(1 + waiting):
            wire.receive().problem(404)
        assert wire.receive_raw(1) == b""

    assert said_since(server, before).count('"request refused"') == 1


def test_ignored_upgrade_is_logged_once_as_a_request(server: Server) -> None:
    for protocol in (b"h2c", b"websocket"):
        answer = ask(server, head("GET /nothing", b"Upgrade: " + protocol, b"Connection: upgrade"))

        assert answer.problem(404)
        lines = log_lines(server, answer)
        assert [re.findall('"message":"(.*?)"', line) for line in lines] == [["request"]]
