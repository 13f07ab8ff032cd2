"""What a handler returns: a status, a body and headers, named by the function on its last line."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

Stream = Iterator[bytes] | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """An answer before it is sent; `body` is JSON-ready, or an iterator of bytes to stream."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"


def ok(body: Any) -> Response:
    """200 with `body`."""
    return Response(200, body)


def created(body: Any, location: str) -> Response:
    """201 with `body`; `location` is the path of the new resource (RFC 9110 section 10.2.2)."""
    return Response(201, body, {"Location": location})


def no_content() -> Response:
    """204."""
    return Response(204)


def stream(body: Stream, media_type: str) -> Response:
    """200 with what `body` yields, sent as it comes and not validated."""
    return Response(200, body, media_type=media_type)
