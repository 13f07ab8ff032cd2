"""Writes pages of a list, and reads the opaque cursors of following pages."""

import base64
import binascii
import re
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from agent_api.http.problems import ValidationFailed, field_error
from db.paging.page import Page

_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)

MAX_TOTAL = 2**53 - 1
"""The contract's maximum of `total`, the largest integer exact in a double."""


class Listing(NamedTuple):
    """A list as one user reads it."""

    name: str
    """The list and its order."""
    user_id: str

    @property
    def reader(self) -> str:
        """Return a digest of the user's id, because a cursor appears in URLs and thus in logs."""
        return blake2b(self.user_id.encode(), digest_size=8).hexdigest()


def is_time_key(key: Any) -> bool:
    """Tell whether `key` is [time, id, total], the key of lists ordered by time.

    Also accepts [time, id], which servers of version 1.0 write during an upgrade.
    """
    match key:
        case [str(time), str(row_id), *rest] if len(rest) < 2:
            is_row = _is_time(time) and bool(_UUID.fullmatch(row_id))
            return is_row and all(type(n) is int and 0 <= n <= MAX_TOTAL for n in rest)
        case _:
            return False


def is_pinned_time_key(key: Any) -> bool:
    """Tell whether `key` is one of a list that has pinned rows first.

    For a pinned row, True follows [time, id, total].
    """
    match key:
        case [*time_key, True] if len(time_key) == 3:
            return is_time_key(time_key)
        case _:
            return is_time_key(key)


def is_position_key(key: Any) -> bool:
    """Tell whether `key` is [position], the key of a conversation's messages."""
    match key:
        case [int(position)]:
            return not isinstance(position, bool) and 0 <= position < 2**63
        case _:
            return False


def is_score_key(key: Any) -> bool:
    """Tell whether `key` is [score, time, id], the key of search results."""
    match key:
        case [float(score), str(time), str(row_id)]:
            return 0 <= score <= 1 and _is_time(time) and bool(_UUID.fullmatch(row_id))
        case _:
            return False


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:  # such as month 13
        return False
    return bool(_TIME.fullmatch(text))


def read_cursor(
    cursor: str | None, *, listing: Listing, offset: int, is_key: Callable[[Any], bool]
) -> list[Any] | None:
    """Return the key after which the page starts, or None without a cursor.

    Raises ValidationFailed if the cursor belongs to another list, order or user, is combined with
    an offset, or was not made by this server. Cursors of version 1.0 name no user: their total is
    dropped.
    """
    if cursor is None:
        return None
    if offset:
        raise _cursor_error("cannot be combined with offset: send only one of them")
    try:
        made_for, key, *reader = orjson.loads(
            base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        )
    except (binascii.Error, ValueError, TypeError) as error:
        raise _cursor_error(
            "is not a valid cursor: send next_cursor of an earlier page unchanged"
        ) from error
    if made_for != listing.name or reader not in ([], [listing.reader]):
        raise _cursor_error(
            "belongs to another list, order or user: send it to the list it came from"
        )
    kept = key if reader or not isinstance(key, list) else key[:2]
    if not is_key(key) or not is_key(kept):
        raise _cursor_error("is not a valid cursor: send next_cursor of an earlier page unchanged")
    return list(kept)


def envelope(name: str, page: Page, *, limit: int, offset: int, listing: Listing) -> bytes:
    """Return the JSON of a page, with its items under `name`."""
    numbers = {
        "total": page.total,
        "limit": limit,
        "offset": offset,
        "next_cursor": page.next_key and _write_cursor(listing, page.next_key),
    }
    return b'{"%s":%s,%s' % (name.encode(), page.documents, orjson.dumps(numbers)[1:])


def results_envelope(
    documents: bytes, next_key: list[Any] | None, *, limit: int, listing: Listing
) -> bytes:
    """Return the JSON of a page of search results."""
    numbers = {"limit": limit, "next_cursor": next_key and _write_cursor(listing, next_key)}
    return b'{"results":%s,%s' % (documents, orjson.dumps(numbers)[1:])


def _write_cursor(listing: Listing, key: list[Any]) -> str:
    parts = [listing.name, key, listing.reader]
    return base64.urlsafe_b64encode(orjson.dumps(parts)).rstrip(b"=").decode()


def _cursor_error(detail: str) -> ValidationFailed:
    return ValidationFailed([field_error("query", "/cursor", detail)])
