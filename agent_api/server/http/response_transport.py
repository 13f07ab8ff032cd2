"""Changes what uvicorn writes: the head with the first bytes of the body, and no chunks for 1.0."""

import asyncio
from collections.abc import Callable
from typing import Any


class ResponseTransport:
    """The part of a transport that one response uses.

    uvicorn writes the head and the body separately, which costs a system call and often a packet.
    The head waits for the body, but not longer than until the event loop's next iteration.
    """

    __slots__ = ("_close", "_head", "_loop", "_sender", "_transport", "_waits", "is_closing")

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        loop: asyncio.AbstractEventLoop,
        *,
        has_body: bool,
        is_closing: Callable[[], bool],
        close: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None
        self._waits = has_body  # for the first write, which has the head
        self._sender: asyncio.Handle | None = None
        self.is_closing = is_closing
        self._close = close

    def write(self, data: bytes) -> None:
        """Send `data`; the first call has the head."""
        if self._waits:
            self._waits = False
            self._head = data
            self._sender = self._loop.call_soon(self._send_head)
        elif self._head is None:
            self._transport.write(data)
        else:
            head = self._head
            self._forget_head()
            self._transport.write(head + data)

    def close(self) -> None:
        """Close after what has been written; this may linger."""
        self._send_head()
        self._close()

    def _send_head(self) -> None:
        if self._head is not None:
            head = self._head
            self._forget_head()
            self._transport.write(head)

    def _forget_head(self) -> None:
        self._head = None
        if self._sender is not None:
            self._sender.cancel()
            self._sender = None


class UnchunkedTransport(ResponseTransport):
    """Sends streams to HTTP/1.0 clients, to whom the end of the connection ends the body.

    uvicorn writes chunks to every client. RFC 9112 section 6.1 forbids that for HTTP/1.0.
    """

    __slots__ = ("_is_chunked",)
    _CHUNKED = b"transfer-encoding: chunked\r\n"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_chunked = False  # the head of a response to HEAD is not delayed, nor chunked

    def write(self, data: bytes) -> None:
        """Send the head, or what is in one chunk."""
        if self._waits:
            self._is_chunked = self._CHUNKED in data
            data = data.replace(self._CHUNKED, b"")
        elif self._is_chunked:
            size, _, rest = data.partition(b"\r\n")
            data = rest[: int(size, 16)]
        super().write(data)
