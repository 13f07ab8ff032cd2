"""Responses that are sent before the whole request was received reach the client."""

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import settings

from tests.hostile.memory import MIB, peak
from tests.servers import Server, sign, start_server
from tests.wire import Wire, head

TIMES = max(1, settings().max_examples // 60)
"""How often each is sent, 3 in CI: whether the system resets a connection depends on timing."""
TIMEOUT = 2
PART = b" " * 65536
Send = Callable[[Server, str, str, dict[str, str], int], tuple[int, bytes]]


def parts(size: int) -> Iterator[bytes]:
    """Yield a body of `size` bytes, for a chunked request."""
    for _ in range(size // len(PART)):
        yield PART


def by_http_client(
    server: Server, method: str, path: str, headers: dict[str, str], size: int
) -> tuple[int, bytes]:
    """Send the whole body before reading the response."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=30)
    with contextlib.closing(connection):
        body = b" " * size if "Content-Length" in headers else parts(size)
        chunked = "Content-Length" not in headers
        connection.request(method, path, body, headers, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.read()


def by_httpx(
    server: Server, method: str, path: str, headers: dict[str, str], size: int
) -> tuple[int, bytes]:
    """Send through a connection pool, like applications do."""
    body = b" " * size if "Content-Length" in headers else parts(size)
    with httpx.Client(base_url=server.url, verify=False, timeout=30) as client:
        answer = client.request(method, path, content=body, headers=headers)
        return answer.status_code, answer.content


CHUNKED = (b"Transfer-Encoding: chunked",)
JSON = {"Content-Type": "application/json"}
TOKEN = {"Authorization": f"Bearer {sign('early')}"}
# Status, method, path and headers; each status is known before the body was read.
EARLY = {
    "too large": (413, "POST", "/conversations", TOKEN | JSON),
    "no token": (401, "POST", "/conversations", JSON),
    "no such path": (404, "POST", "/nothing", TOKEN | JSON),
    "no such method": (405, "POST", "/users/me/chat-settings", TOKEN | JSON),
    "no JSON": (415, "POST", "/conversations", TOKEN | {"Content-Type": "text/plain"}),
    "a wrong id": (422, "PATCH", "/conversations/no-id", TOKEN | JSON),
    "an upgrade": (404, "POST", "/nothing", {"Upgrade": "h2c", "Connection": "upgrade"}),
}


@pytest.mark.parametrize("send", [by_http_client, by_httpx])
@pytest.mark.parametrize("case", EARLY.values(), ids=EARLY.keys())
def test_client_that_sends_megabytes_receives_the_early_response(
    case: tuple[int, str, str, dict[str, str]], send: Send, server: Server
) -> None:
    status, method, path, headers = case
    for size in (3 * MIB, 10 * MIB):
        for length in ({}, {"Content-Length": str(size)}):  # without it: chunked
            for _ in range(TIMES):
                got, content = send(server, method, path, headers | length, size)

                assert got == status, (size, length, content)
                assert b'"type":"/problems/' in content


def test_refused_request_closes_the_connection(server: Server) -> None:
    lines = (b"Content-Type: application/json", b"Content-Length: 10000000")
    with Wire(server) as wire:
        wire.send(head("POST /conversations", *lines) + PART)
        answer = wire.receive("POST")

        assert answer.problem(413)["type"] == "/problems/payload-too-large"
        assert answer.headers["connection"] == "close"
        assert wire.receive_raw(1) == b""


def test_body_after_an_early_response_is_not_run_as_a_request(server: Server) -> None:
    request = head("GET /healthz", token=False)
    lines = (b"Content-Type: application/json", b"Content-Length: %d" % len(request))
    with Wire(server) as wire:
        wire.send(head("POST /conversations", *lines, token=False))
        assert wire.receive("POST").status == 401

        wire.send(request + head("GET /nothing", token=False))

        assert wire.receive().status == 404


def test_connection_closes_if_expect_100_continue_is_refused(server: Server) -> None:
    lines = (b"Expect: 100-continue", b"Content-Type: application/json", b"Content-Length: 1000")
    with Wire(server) as wire:
        wire.send(head("POST /conversations", *lines, token=False))
        answer = wire.receive("POST")

        assert answer.problem(401)
        assert answer.headers["connection"] == "close"
        assert wire.receive_raw(1) == b""


def test_connection_is_kept_after_100_continue(server: Server) -> None:
    lines = (b"Expect: 100-continue", b"Content-Type: application/json", b"Content-Length: 2")
    with Wire(server) as wire:
        wire.send(head("POST /conversations", *lines))
        assert wire.receive_raw(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"{}")
        answer = wire.receive("POST")
        assert (answer.status, answer.headers["connection"]) == (201, None)

        wire.send(head("GET /healthz", token=False))

        assert wire.receive().status == 200


@pytest.fixture(scope="module")
def impatient(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a short timeout for slow clients."""
    folder = tmp_path_factory.mktemp("impatient")
    with start_server(database_url, folder, client_timeout_seconds=str(TIMEOUT)) as running:
        yield running


def send_until_closed(wire: Wire, raw: bytes) -> int:
    """Send `raw` repeatedly for at most a minute, and return how many bytes were sent."""
    sent, until = 0, time.monotonic() + 60
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < until:
            wire.send(raw)
            sent += len(raw)
    return sent


ENDLESS = {
    "refused": head("POST /conversations", b"Content-Type: a", b"Content-Type: b", *CHUNKED),
    "too large": head("POST /conversations", b"Content-Type: application/json", *CHUNKED),
    "without a token": head("POST /conversations", *CHUNKED, token=False),
}


@pytest.mark.process
@pytest.mark.parametrize("start", ENDLESS.values(), ids=ENDLESS.keys())
def test_endless_body_is_discarded_and_then_aborted(start: bytes, impatient: Server) -> None:
    """Its memory use and its duration are limited."""
    began = time.monotonic()
    with peak(impatient) as memory, Wire(impatient) as wire:
        wire.send(start)
        sent = send_until_closed(wire, b"10000\r\n" + PART + b"\r\n")

    assert sent > 3 * MIB
    assert time.monotonic() - began < 50
    assert memory.grown < 50 * MIB


@pytest.mark.process
def test_connection_is_closed_after_an_invalid_request(impatient: Server) -> None:
    with Wire(impatient) as wire:
        wire.send(b"garbage\r\n\r\n")
        wire.receive().problem(400)
        assert wire.receive_raw(1) == b""
        time.sleep(TIMEOUT + 3)

        assert send_until_closed(wire, b"a") <= 2


@pytest.mark.process
def test_keep_alive_timeout_does_not_apply_while_the_client_sends(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"keep_alive_seconds": "1", "max_body_bytes": str(MIB)}
    with start_server(database_url, tmp_path, **settings) as server, Wire(server) as wire:
        wire.send(head("POST /conversations", b"Content-Type: application/json", *CHUNKED))
        for _ in range(30):  # three seconds, mostly after the response
            wire.send(b"10000\r\n" + PART + b"\r\n")
            time.sleep(0.1)

        wire.receive("POST").problem(413)


@pytest.mark.process
def test_keep_alive_timeout_applies_after_a_body_that_follows_its_response(
    database_url: str, tmp_path: Path
) -> None:
    lines = (b"Content-Type: application/json", b"Content-Length: 2")
    with (
        start_server(database_url, tmp_path, keep_alive_seconds="1") as server,
        Wire(server) as wire,
    ):
        wire.send(head("POST /conversations", *lines, token=False))
        wire.receive("POST").problem(401)
        wire.send(b"{}")

        assert wire.receive_raw(1) == b""
