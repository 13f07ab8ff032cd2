"""The events of a run as a feed."""

from functools import partial

import orjson

from agent_api.live.streams import Feed, Piece
from db import run_events
from db.documents import RUN_EVENT, Document, Row
from db.engine import autocommit

LIMIT = 500
"""The number of events that one statement reads."""


def _event(row: Row) -> bytes:
    sequence, event_type, data = row[:3]
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (sequence, event_type.encode(), data.encode())


def _message(row: Row) -> bytes:
    sequence, event_type, data = row[:3]
    message = {"sequence": sequence, "type": event_type, "data": orjson.Fragment(data)}
    return b"id: %d\ndata: %s\n\n" % (sequence, orjson.dumps(message))


_PAGES = {
    form: run_events.page_of(Document(RUN_EVENT.table, RUN_EVENT.columns, write), separator=b"")
    for form, write in {"event": _event, "message": _message}.items()
}


def run_feed(run_id: str, *, user_id: str, form: str) -> Feed:
    """Return the feed of a run's events; positions are their numbers."""
    return Feed(("run", run_id), form, partial(_read, run_id, user_id, form))


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
