"""Sends responses as ASGI messages."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Generator
from http import HTTPStatus
from typing import Protocol, runtime_checkable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent_api.http.request_context import IS_STREAM, disconnected
from agent_api.http.responses import Response

# Content-Length of a 304 would have to be that of the 200 (RFC 9110 section 8.6).
_WITHOUT_LENGTH = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@runtime_checkable
class AsyncClosable(Protocol):
    """An asynchronous iterator that holds resources, such as a generator."""

    def aclose(self) -> Awaitable[None]:
        """Release the resources, even before the first item."""


@runtime_checkable
class Stoppable(AsyncIterable[bytes], Protocol):
    """A body that ends soon after `stop` is called, even while it waits."""

    def stop(self) -> None:
        """Request the end of the body."""

    def aclose(self) -> Awaitable[None]:
        """Release the resources, even before the first piece."""


def send_response(
    response: Response, scope: Scope, receive: Receive, send: Send
) -> Awaitable[None]:
    """Return an awaitable that sends the response.

    HEAD gets the headers of GET (RFC 9110 section 9.3.2).
    """
    if isinstance(response.body, bytes):
        return _send_bytes(response, scope, send)
    scope[IS_STREAM] = True
    scope["headers"] = ()  # a stream can take hours: keep nothing of the request until then
    if isinstance(response.body, Stoppable) and scope["method"] != "HEAD":
        return _send_stoppable(response, response.body, receive, send)
    return _send_stream(response, scope, receive, send)


async def _send_bytes(response: Response, scope: Scope, send: Send) -> None:
    headers = _headers(response)
    if response.status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    content = b"" if scope["method"] == "HEAD" else response.body
    await send({"type": "http.response.body", "body": content})


async def _send_stream(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the pieces of the body until it ends or the client disconnects."""
    body = response.body
    try:
        if scope["method"] == "HEAD":
            await _start(response, send)
            await send({"type": "http.response.body", "body": b""})
        else:
            streaming = StreamingResponse(
                body, response.status, response.headers, response.media_type
            )
            await streaming(scope, receive, send)
    finally:  # do not leave an abandoned generator to the garbage collector
        if isinstance(body, AsyncClosable):
            await body.aclose()
        elif isinstance(body, Generator):
            await asyncio.to_thread(body.close)


async def _send_stoppable(
    response: Response, body: Stoppable, receive: Receive, send: Send
) -> None:
    """Send a body that can wait for hours, with a third of the memory of a StreamingResponse."""
    watching = asyncio.ensure_future(_stop_on_disconnect(body, receive))
    try:
        await _start(response, send)
        del response
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            del piece  # do not keep it until the next one
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        watching.cancel()
        await body.aclose()


async def _start(response: Response, send: Send) -> None:
    headers = _headers(response)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})


async def _stop_on_disconnect(body: Stoppable, receive: Receive) -> None:
    await disconnected(receive)
    body.stop()


def _headers(response: Response) -> list[tuple[bytes, bytes]]:
    headers = [(name.lower().encode(), v.encode("latin-1")) for name, v in response.headers.items()]
    if response.media_type:
        headers.append((b"content-type", response.media_type.encode()))
    return headers
