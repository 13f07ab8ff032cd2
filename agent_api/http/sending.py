"""Sends responses as ASGI messages."""

import asyncio
from collections.abc import Awaitable, Generator
from http import HTTPStatus
from typing import Protocol, runtime_checkable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from agent_api.http.request_context import IS_STREAM
from agent_api.http.responses import Response

# Content-Length of a 304 would have to be that of the 200 (RFC 9110 section 8.6).
_WITHOUT_LENGTH = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


@runtime_checkable
class AsyncClosable(Protocol):
    """An asynchronous iterator that has something to give back, such as a generator."""

    def aclose(self) -> Awaitable[None]:
        """End it, also before its first item."""


async def send_response(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the response. HEAD gets the headers of GET (RFC 9110 section 9.3.2)."""
    if not isinstance(response.body, bytes):
        await _send_stream(response, scope, receive, send)
        return
    headers = [(name.lower().encode(), v.encode("latin-1")) for name, v in response.headers.items()]
    if response.media_type:
        headers.append((b"content-type", response.media_type.encode()))
    if response.status not in _WITHOUT_LENGTH:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    content = b"" if scope["method"] == "HEAD" else response.body
    await send({"type": "http.response.body", "body": content})


async def _send_stream(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the pieces of the body until it ends or the client disconnects."""
    scope[IS_STREAM] = True
    content = response.body if scope["method"] != "HEAD" else iter(())
    streaming = StreamingResponse(content, response.status, response.headers, response.media_type)
    try:
        await streaming(scope, receive, send)
    finally:  # do not leave an abandoned generator to the garbage collector
        if isinstance(response.body, AsyncClosable):
            await response.body.aclose()
        elif isinstance(response.body, Generator):
            await asyncio.to_thread(response.body.close)
