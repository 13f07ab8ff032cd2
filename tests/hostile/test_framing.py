"""Heads that two servers in a row could read in two ways: they are refused, not interpreted."""

import re
import time
import uuid

import pytest

from tests.servers import Server
from tests.wire import Wire, ask, head

JSON = b"Content-Type: application/json"
CHUNKED = b"Transfer-Encoding: chunked"
EMPTY_OBJECT = b"2\r\n{}\r\n0\r\n\r\n"
BAD_CHUNK = b"ZZ\r\n"
SECOND = head("GET /nothing", token=False)


@pytest.mark.parametrize(
    "lines",
    [
        [b"Transfer-Encoding: gzip, chunked"],
        [b"Transfer-Encoding: gzip", CHUNKED],
        [b"Transfer-Encoding: identity, chunked"],
        [b"Transfer-Encoding: chunked, chunked"],
        [CHUNKED, CHUNKED],
        [b"Transfer-Encoding: identity"],
        [b"Transfer-Encoding: chunked;q=1"],
        [b"Transfer-Encoding:"],
        [CHUNKED, b"Content-Length: 2"],
    ],
)
def test_a_transfer_coding_other_than_chunked_is_refused(
    lines: list[bytes], server: Server
) -> None:
    with Wire(server) as wire:
        wire.send(head("POST /conversations", JSON, *lines) + EMPTY_OBJECT + SECOND)

        wire.receive("POST").problem(400)
        assert wire.receive_raw(1) == b""


@pytest.mark.parametrize("name", [b"chunked", b"Chunked", b" chunked "])
def test_chunked_is_read_however_it_is_spelt(name: bytes, server: Server) -> None:
    raw = head("POST /conversations", JSON, b"Transfer-Encoding:" + name) + EMPTY_OBJECT

    assert ask(server, raw).status == 201


@pytest.mark.parametrize(
    "lines",
    [
        [JSON, b"Content-Type: text/plain"],
        [JSON, b"Content-Type: application/json; charset=latin-1"],
        [JSON, b"Content-Encoding: identity", b"Content-Encoding: gzip"],
    ],
)
def test_two_lines_that_contradict_each_other_are_refused(
    lines: list[bytes], server: Server
) -> None:
    for these in (lines, lines[::-1]):
        raw = head("POST /conversations", *these, b"Content-Length: 2") + b"{}"

        ask(server, raw).problem(400)


def test_a_line_that_is_repeated_word_by_word_is_read_once(server: Server) -> None:
    raw = head("POST /conversations", JSON, JSON, b"Content-Length: 2") + b"{}"

    assert ask(server, raw).status == 201


def test_a_bad_chunk_of_who_waits_to_go_on_is_a_400_and_no_fault(server: Server) -> None:
    before = server.log.read_text()
    with Wire(server) as wire:
        wire.send(head("POST /conversations", b"Expect: 100-continue", JSON, CHUNKED) + BAD_CHUNK)

        wire.receive("POST").problem(400)
        assert wire.receive_raw(1) == b""

    assert_no_fault(server, before)


def test_a_bad_chunk_after_the_answer_has_no_second_answer(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(head("POST /conversations", JSON, CHUNKED, token=False))
        wire.receive("POST").problem(401)

        wire.send(BAD_CHUNK)

        assert wire.receive_raw(1000) == b""


FIRST = {
    "with a body": head("POST /conversations", JSON, b"Content-Length: 2") + b"{}",
    "without one": head("GET /conversations"),
}


@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST.keys())
@pytest.mark.parametrize("more", [0, 1])
def test_a_bad_chunk_takes_no_answer_from_the_requests_before_it(
    more: int, first: bytes, server: Server
) -> None:
    before = server.log.read_text()
    with Wire(server) as wire:
        wire.send(first * (1 + more) + head("POST /conversations", JSON, CHUNKED) + BAD_CHUNK)

        for number in range(1 + more):
            answer = wire.receive(first.partition(b" ")[0].decode())
            assert answer.status in {200, 201}
            assert answer.headers["connection"] == (None if number < more else "close")
        assert wire.receive_raw(1000) == b""

    assert_no_fault(server, before)


def assert_no_fault(server: Server, before: str) -> None:
    """Assert that all requests since the log was `before` have ended, and none with an ERROR."""
    marker = str(uuid.uuid4())
    ask(server, head("GET /nothing", b"X-Request-Id: " + marker.encode()))
    while marker not in (said := server.log.read_text().removeprefix(before)):
        time.sleep(0.01)  # the line is written behind the answer
    assert '"ERROR"' not in said


def test_each_refused_head_has_one_line_in_the_log_with_its_request_id(server: Server) -> None:
    raws = [
        b"no request\r\n\r\n",
        head("POST /nothing", b"Upgrade: h2c", b"Connection: upgrade", b"Content-Length: 2"),
    ]
    for raw in raws:
        before = server.log.read_text()
        answer = ask(server, raw)
        answer.problem(400)
        lines = server.log.read_text().removeprefix(before).splitlines()

        assert len(lines) == 1
        assert str(answer.headers["x-request-id"]) in lines[0]


UNANSWERED = {
    "a bad head": (0, b"no request\r\n\r\n"),
    "a bad chunk": (0, head("POST /conversations", JSON, CHUNKED) + BAD_CHUNK),
    "a request too many": (16, SECOND),
}


@pytest.mark.parametrize("case", UNANSWERED.values(), ids=UNANSWERED.keys())
def test_what_is_refused_behind_a_request_has_one_line_in_the_log_too(
    case: tuple[int, bytes], server: Server
) -> None:
    waiting, refused = case
    before = server.log.read_text()
    with Wire(server) as wire:
        wire.send(SECOND * (1 + waiting) + refused)
        for _ in range(1 + waiting):
            wire.receive().problem(404)
        assert wire.receive_raw(1) == b""

    said = server.log.read_text().removeprefix(before)
    assert said.count('"request refused"') == 1


def test_an_upgrade_that_is_ignored_has_one_line_in_the_log(server: Server) -> None:
    for protocol in (b"h2c", b"websocket"):
        before = server.log.read_text()
        answer = ask(server, head("GET /nothing", b"Upgrade: " + protocol, b"Connection: upgrade"))

        assert answer.problem(404)
        while not (said := server.log.read_text().removeprefix(before)).endswith("\n"):
            time.sleep(0.01)  # the line is written behind the answer
        lines = said.splitlines()
        assert [re.findall('"message":"(.*?)"', line) for line in lines] == [["request"]]
