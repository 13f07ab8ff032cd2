"""Why agent_api/server works around uvicorn 0.54: a failing test says that it no longer has to."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

pytestmark = pytest.mark.slow


async def echo_path(scope: Any, _receive: Any, send: Any) -> None:
    """Respond with the path, without reading the body."""
    assert scope["type"] == "http"
    body = scope["path"].encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(app: Callable[..., Any], **options: Any) -> Iterator[int]:
    """Run uvicorn's own server and protocol in a thread; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http="httptools", log_config=None, **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=[server.serve([listener])])
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)


def responses(port: int, *parts: bytes) -> bytes:
    """Send a request in parts, and return what comes until a second passes without anything."""
    with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
        for part in parts:
            client.sendall(part)
            time.sleep(0.3)  # so that uvicorn reads each part by itself
        received = b""
        try:
            while more := client.recv(65536):
                received += more
        except TimeoutError:
            pass
        return received


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(echo_path, lifespan="off") as port:
        yield port


def test_upstream_body_of_an_upgrade_is_read_as_a_request(port: int) -> None:
    """agent_api/server/http/protocol.py reads the head again without the offer."""
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    head = (
        b"POST /first HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        b"Content-Length: %d\r\n\r\n" % len(smuggled)
    )

    received = responses(port, head, smuggled)

    assert b"/first" in received
    assert b"/smuggled" in received


def test_upstream_has_no_limit_for_the_size_of_headers(port: int) -> None:
    """agent_api/server/http/protocol.py limits them."""
    head = b"GET /large HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 300_000 + b"\r\n\r\n"

    assert b"/large" in responses(port, head)


def test_upstream_takes_trailers_as_headers(port: int) -> None:
    """agent_api/server/http/protocol.py drops them, and refuses those that are about framing."""
    head = b"POST /chunked HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailers = b"0\r\n" + b"X-Trailer: x\r\n" * 20_000 + b"\r\n"

    assert b"/chunked" in responses(port, head + trailers)


def test_upstream_lifespan_auto_hides_an_error_at_startup() -> None:
    """agent_api/server/run.py sets lifespan="on"."""

    async def broken(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            raise RuntimeError("cannot start")
        await echo_path(scope, receive, send)

    with serving(broken, lifespan="auto") as port:
        request = b"GET /served HTTP/1.1\r\nHost: x\r\n\r\n"

        assert b"/served" in responses(port, request)


def test_upstream_connection_has_at_most_30_attributes() -> None:
    """agent_api/server/connection.py has slots, because CPython stores 30 attributes compactly."""
    config = uvicorn.Config(echo_path)
    config.load()
    connection = HttpToolsProtocol(config, ServerState(), {}, asyncio.new_event_loop())
    connection.loop.close()

    assert len(vars(connection)) < 30
