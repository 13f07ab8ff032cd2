"""The events of a run as a feed."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec import Raw, Struct

from agent_api.live.streams import Feed, Piece
from db.documents import to_json
from db.engine import autocommit
from db.execution import run_events

LIMIT = 200
"""The number of events that one statement reads."""
MAX_BYTES = 1024 * 1024
"""A read ends with the event that reaches this size: a client that does not read keeps it."""


class _Message(Struct, gc=False):
    sequence: int
    type: str
    data: Raw


def _write_events(events: Sequence[Any], _size: int) -> tuple[bytes, int]:
    frames = [
        b"id: %d\nevent: %s\ndata: %s\n\n" % (e.sequence, e.type.encode(), bytes(e.data))
        for e in events
    ]
    return b"".join(frames), len(frames)


def _write_messages(events: Sequence[Any], _size: int) -> tuple[bytes, int]:
    frames = [
        b"id: %d\ndata: %s\n\n" % (e.sequence, to_json(_Message(e.sequence, e.type, e.data)))
        for e in events
    ]
    return b"".join(frames), len(frames)


_PAGES = {
    "event": run_events.page_written_by(_write_events, MAX_BYTES),
    "message": run_events.page_written_by(_write_messages, MAX_BYTES),
}


def run_feed(run_id: str, *, user_id: str, form: str) -> Feed:
    """Return the feed of a run's events; positions are their numbers."""
    return Feed(("run", run_id, user_id), form, partial(_read, run_id, user_id, form))


def _read(run_id: str, user_id: str, form: str, after: int) -> Piece:
    with autocommit() as connection:
        found = run_events.select_page(
            connection,
            run_id=run_id,
            user_id=user_id,
            after=after,
            limit=LIMIT,
            page=_PAGES[form],
        )
    has_ended = found.status not in run_events.ACTIVE
    return Piece(
        found.documents,
        found.last_read,
        found.has_more,
        is_last=has_ended and not found.has_more,
        value=(found.last_sequence, int(has_ended)),
        written_at=found.last_time,
    )
