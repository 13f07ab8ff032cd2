"""Reads the bytes of a request body and checks its headers."""

import re

from starlette.types import Receive, Scope

from agent_api.http.problems import PayloadTooLarge, RequestTimeout, UnsupportedMediaType
from agent_api.http.request_context import BODY_OVERDUE, ClientDisconnected

# Parameters may be empty (RFC 9110 section 5.6.6). Possessive, so matching takes linear time.
_JSON = re.compile(
    r"application/json([ \t]*+;([ \t]*+charset[ \t]*+=[ \t]*+\"?utf-?8\"?)?)*+", re.IGNORECASE
)


async def read(scope: Scope, receive: Receive, content_length: str | None, limit: int) -> bytes:
    """Return a body of at most `limit` bytes, with or without Content-Length.

    Raises PayloadTooLarge as soon as Content-Length or the received bytes exceed the limit,
    RequestTimeout if HttpProtocol marked the body as overdue, and ClientDisconnected.
    """
    if content_length is not None and _exceeds(limit, content_length):
        raise PayloadTooLarge(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        if BODY_OVERDUE in scope:
            raise RequestTimeout
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _exceeds(limit: int, content_length: str) -> bool:
    """Tell whether Content-Length exceeds the limit. uvicorn refuses an invalid one."""
    return content_length.isdigit() and (len(content_length) > 18 or int(content_length) > limit)


def check_media_type(content_type: str | None, content_encoding: str | None) -> None:
    """Raise UnsupportedMediaType unless the body is plain JSON in UTF-8 (RFC 8259)."""
    if content_type is None or not _JSON.fullmatch(content_type.strip(" \t")):
        raise UnsupportedMediaType(
            "Send the body as JSON in UTF-8, with the header Content-Type: application/json."
        )
    if content_encoding is not None and content_encoding.lower() != "identity":
        raise UnsupportedMediaType("Send the body without a Content-Encoding.")
