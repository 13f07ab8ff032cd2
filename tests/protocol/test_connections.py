"""Connections that carry something other than one plain HTTP request."""

import json
import signal
import time
from pathlib import Path

import pytest

from tests.servers import Server, start_server
from tests.wire import Wire, ask, head


def test_websocket_upgrade_does_not_bypass_authentication(server: Server) -> None:
    lines = [
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]

    for path, status in (("/conversations", 401), ("/nothing", 404), ("/healthz", 200)):
        assert ask(server, head(f"GET {path}", *lines, token=False)).status == status


def test_headers_over_the_limit_are_a_431(server: Server) -> None:
    answer = ask(server, head("GET /healthz", b"X-Long: " + b"a" * 100_000, token=False))

    assert answer.status == 431
    assert json.loads(answer.content)["type"] == "/problems/headers-too-large"
    assert answer.headers["x-request-id"]


def test_endless_headers_are_refused_before_they_end(server: Server) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: api\r\n")
        wire.send_again_and_again(b"X-More: " + b"a" * 1000 + b"\r\n")

        assert wire.receive().problem(431)["type"] == "/problems/headers-too-large"
        assert wire.receive_raw(1) == b""


def test_endless_token_is_a_401_and_any_other_endless_header_a_431(server: Server) -> None:
    for lines, status in (
        ([b"Authori", b"zation: Bearer "], 401),
        ([b"X-Authorization: Bearer "], 431),
        ([b"AUTHORIZATION: Bearer x\r\n", b"X-More: "], 431),
        ([b"X-Long: " + b"a" * 60_000 + b"\r\nauthorization:"], 401),
    ):
        with Wire(server) as wire:
            for part in (b"GET /conversations HTTP/1.1\r\nHost: api\r\n", *lines):
                wire.send(part)
                time.sleep(0.05)
            wire.send(b"a" * 100_000)

            wire.receive().problem(status)


def test_too_long_token_is_a_401_and_any_other_too_long_header_a_431(server: Server) -> None:
    token, other = b"Authorization: Bearer " + b"a" * 70_000, b"X-Long: " + b"a" * 70_000

    for lines, status in (([token], 401), ([other], 431), ([other, token], 431)):
        ask(server, head("GET /conversations", *lines, token=False)).problem(status)


@pytest.mark.process
def test_blank_line_between_requests_is_ignored(database_url: str, tmp_path: Path) -> None:
    """Old clients send one after a body (RFC 9112 section 2.2)."""
    settings = {"client_timeout_seconds": "1", "grace_seconds": "600"}
    with start_server(database_url, tmp_path, **settings) as server, Wire(server) as wire:
        for _ in range(2):
            wire.send(head("GET /healthz", token=False))
            assert wire.receive().status == 200
            wire.send(b"\r\n")
            time.sleep(3)
        server.process.send_signal(signal.SIGTERM)

        assert wire.receive_raw(1) == b""
        assert server.process.wait(60) == 0


def test_http_1_1_request_must_have_exactly_one_valid_host(server: Server) -> None:
    for version, lines, status in (
        ("HTTP/1.1", [], 400),
        ("HTTP/1.1", [b"Host: a", b"Host: b"], 400),
        ("HTTP/1.1", [b"Host: a", b"Host: a"], 400),
        ("HTTP/1.1", [b"Host: a b"], 400),
        ("HTTP/1.1", [b"Host: a/b"], 400),
        ("HTTP/1.1", [b"Host: user@a"], 400),
        ("HTTP/1.1", [b"Host:"], 200),
        ("HTTP/1.1", [b"Host: [::1]:8000"], 200),
        ("HTTP/1.0", [], 200),
        ("HTTP/1.0", [b"Host: a", b"Host: b"], 400),
        ("HTTP/2.0", [b"Host: a"], 400),
    ):
        raw = b"\r\n".join([f"GET /healthz {version}".encode(), *lines, b"", b""])

        assert ask(server, raw).status == status, raw


def test_head_works_with_http_1_0(server: Server) -> None:
    assert ask(server, b"HEAD /healthz HTTP/1.0\r\n\r\n").status == 200


def test_request_without_http_version_is_refused(server: Server) -> None:
    ask(server, b"GET /healthz\r\n\r\n").problem(400)


def test_header_limit_applies_to_each_request_of_a_connection(server: Server) -> None:
    request = head("GET /healthz", b"X-Long: " + b"a" * 40_000, token=False)

    with Wire(server) as wire:
        for _ in range(5):
            wire.send(request)
            assert wire.receive().status == 200


@pytest.mark.parametrize(
    "raw", [b"\x16\x03\x01\x02\x00\x01", b"HELLO\r\n\r\n", b"GET / FTP/1\r\n\r\n"]
)
def test_input_that_is_not_http_is_answered_with_a_problem(server: Server, raw: bytes) -> None:
    answer = ask(server, raw)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(answer.content)["type"] == "/problems/bad-request"
    assert answer.headers["x-request-id"]
