"""What a handler returns: a status, a body and headers, named by the function on its last line."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Stream = Iterator[bytes] | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer before it is sent.

    `body` is JSON text (bytes), another value that becomes JSON, or an iterator of bytes to stream.
    `more` are JSON texts by name, members that an object's text gets only on request: they are no
    part of its ETag, which is one for a resource wherever that is sent.
    """

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    more: Mapping[str, bytes] = field(default_factory=dict)

    def with_more(self, text: bytes) -> bytes:
        """Return the JSON text of the body's object, with `more` in it."""
        members = [b', "%s": %s' % (name.encode(), value) for name, value in self.more.items()]
        return b"".join([text[:-1], *members, b"}"]) if members else text


def ok(body: Any, **more: bytes) -> Response:
    """200 with `body`, and what it holds on request."""
    return Response(200, body, more=more)


def created(body: Any, location: str) -> Response:
    """201 with `body`; `location` is the path of the new resource (RFC 9110 section 10.2.2)."""
    return Response(201, body, {"Location": location})


def no_content() -> Response:
    """204."""
    return Response(204)


def stream(body: Stream, media_type: str) -> Response:
    """200 with what `body` yields, sent as it comes and not validated."""
    return Response(200, body, media_type=media_type)
