"""Raw TCP connections, for requests that an HTTP client would not send."""

import http.client
import io
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.servers import Server, sign


@dataclass(frozen=True)
class Answer:
    """A response read from a socket."""

    status: int
    headers: http.client.HTTPMessage
    content: bytes

    def problem(self, status: int) -> dict[str, Any]:
        """Assert that this is a problem document of `status`, and return it."""
        assert self.status == status, self.content
        assert self.headers["content-type"] == "application/problem+json"
        assert self.headers["x-request-id"]
        found: dict[str, Any] = json.loads(self.content)
        assert found["status"] == status
        return found


class Stream(io.BufferedReader):
    """A buffered socket that stays open when an HTTPResponse closes it."""

    def makefile(self, _mode: str) -> "Stream":
        return self

    def close(self) -> None:
        """Stay open."""


class Wire:
    """A connection; `window` limits the bytes that the client's kernel buffers."""

    def __init__(self, server: Server, *, window: int | None = None) -> None:
        address = urlsplit(server.url)
        assert address.hostname is not None
        self._socket = socket.socket()
        if window is not None:  # set before connecting, when the window is announced
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        self._socket.settimeout(30)
        try:
            self._socket.connect((address.hostname, address.port or 80))
        except OSError:
            self._socket.close()
            raise
        self._stream = Stream(socket.SocketIO(self._socket, "r"))

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, raw: bytes) -> None:
        self._socket.sendall(raw)

    def send_again_and_again(self, raw: bytes) -> None:
        for _ in range(10_000):
            self.send(raw)

    def receive(self, method: str = "GET", *, streams: bool = True) -> Answer:
        """Return a response; without `streams`, that of a stream has no content."""
        # HTTPResponse only calls makefile().
        response = http.client.HTTPResponse(self._stream, method=method)  # type: ignore[arg-type]  # see above
        response.begin()
        is_stream = (response.headers["content-type"] or "").startswith("text/event-stream")
        content = response.read() if streams or not is_stream else b""
        return Answer(response.status, response.headers, content)

    def receive_raw(self, size: int) -> bytes:
        """Return up to `size` received bytes, or none if the server closed the connection."""
        return self._stream.read1(size)

    def is_closed(self) -> bool:
        """Return whether the server closed the connection or sent unread data."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        finally:
            self._socket.settimeout(30)
        return True


def head(start: str, *lines: bytes, token: bool = True, user: str = "wire") -> bytes:
    """Return the head of a request, with a token of `user` unless `token` is false."""
    given = [b"Authorization: Bearer " + sign(user).encode()] if token else []
    return b"\r\n".join([f"{start} HTTP/1.1".encode(), b"Host: api", *given, *lines, b"", b""])


def ask(server: Server, raw: bytes) -> Answer:
    """Send `raw` on a new connection and return the response."""
    with Wire(server) as wire:
        wire.send(raw)
        return wire.receive(raw.split(b" ")[0].decode())
