"""The changes of a user's objects as a feed."""

from functools import partial

from agent_api.http import etag
from agent_api.live.streams import Feed, Piece
from db.change_log import changes
from db.change_log.changes import Change
from db.engine import autocommit

LIMIT = 500
"""The number of changes that are read at once."""


def change_feed(user_id: str, *, form: str) -> Feed:
    """Return the feed of a user's log; positions are the numbers of changes."""
    read = partial(_read, user_id, with_type=form == "event")
    return Feed(("changes", user_id), form, read, starts_with_position=True)


def _read(user_id: str, after: int, *, with_type: bool) -> Piece:
    with autocommit() as connection:
        page = changes.select_page(
            connection, user_id=user_id, after=after, limit=LIMIT, tag=etag.of
        )
    last = page.changes[-1].sequence if page.changes else after
    return Piece(
        b"".join(_frame(change, with_type=with_type) for change in page.changes),
        last,
        last < page.last_sequence,
        is_last=False,
        value=(page.last_sequence,),
        written_at=page.changes[-1].at if page.changes else "",
    )


def _frame(change: Change, *, with_type: bool) -> bytes:
    event = b"event: %s\n" % change.type.encode() if with_type else b""
    return b"id: %d\n%sdata: %s\n\n" % (change.sequence, event, change.document)
