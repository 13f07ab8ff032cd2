"""Writes and reads `messages.details`: the properties that most messages have no value for.

They share a column because each column costs every row of a list about 80 ns, also if it is null.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

Parts = Sequence[Mapping[str, Any]]


class Details(Struct, gc=False):
    """What the document of a message has besides its columns."""

    author: str | None = None
    """The member who posted it; None if the owner or a worker did."""
    parts: Raw = Raw()
    """JSON; empty without parts."""
    version: int = 1
    edited_at: str | None = None


read = msgspec.json.Decoder(Details).decode


def write(
    *,
    author: str | None = None,
    parts: Parts | None = None,
    version: int = 1,
    edited_at: str | None = None,
) -> dict[str, Any] | None:
    """Return the value of the column, or None if all properties have their defaults."""
    given: dict[str, Any] = {"author": author, "parts": parts, "edited_at": edited_at}
    if version > 1:
        given["version"] = version
    return {name: value for name, value in given.items() if value is not None} or None
