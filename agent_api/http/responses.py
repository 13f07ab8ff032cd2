"""Defines Response, and one function per status for the last line of a handler."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Stream = Iterator[bytes] | AsyncIterator[bytes]


@dataclass(frozen=True, slots=True)
class Response:
    """A response before it is sent.

    `body` is JSON text (bytes), a value to convert to JSON, or an iterator of bytes to stream.
    `extra_members` are JSON texts by name. They are added to the JSON object of `body`, but not
    covered by the ETag, so that a resource has the same ETag with and without them.
    """

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    media_type: str = "application/json"
    extra_members: Mapping[str, bytes] = field(default_factory=dict)

    def with_extra_members(self, text: bytes) -> bytes:
        """Return `text`, the JSON text of the body, with the extra members added."""
        if not self.extra_members:
            return text
        added = [b',"%s":%s' % (name.encode(), v) for name, v in self.extra_members.items()]
        return b"".join([text[:-1], *added, b"}"])


def ok(body: Any, **extra_members: bytes) -> Response:
    """Return a 200 with `body` and the JSON texts of its extra members."""
    return Response(200, body, extra_members=extra_members)


def created(body: Any, location: str) -> Response:
    """Return a 201. `location` is the path of the new resource (RFC 9110, 10.2.2)."""
    return Response(201, body, {"Location": location})


def no_content() -> Response:
    """Return a 204."""
    return Response(204)


def stream(body: Stream, media_type: str) -> Response:
    """Return a 200 that sends each piece as soon as `body` yields it, unvalidated."""
    return Response(200, body, media_type=media_type)
