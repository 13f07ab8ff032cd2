"""The events of a run as a feed."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from msgspec import Raw, Struct

from agent_api.live.streams import Feed, Piece
from db import access
from db.documents import to_json
from db.engine import MemberGrant, acting_under, autocommit, current_membership
from db.execution import run_events
from db.paging.row_page import RowPage, Write
from db.run_documents import MEMBER_RUN_EVENT

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


_WRITERS: dict[str, Write] = {"event": _write_events, "message": _write_messages}
_PAGES = {form: run_events.page_written_by(write, MAX_BYTES) for form, write in _WRITERS.items()}
_PAGES_FOR_MEMBERS = {
    form: run_events.page_written_by(write, MAX_BYTES, MEMBER_RUN_EVENT)
    for form, write in _WRITERS.items()
}


def run_feed(run_id: str, *, user_id: str, form: str) -> Feed:
    """Return the feed of a run's events; positions are their numbers."""
    grant = current_membership()
    if grant is not None:
        read = partial(_read_as_member, grant, run_id, form)
        return Feed(("run", run_id, user_id), (form, grant.member_id), read)
    return Feed(("run", run_id, user_id), form, partial(_read, run_id, user_id, _PAGES[form]))


def _read_as_member(grant: MemberGrant, run_id: str, form: str, after: int) -> Piece:
    """Read if the conversation is still shared with the member. Raises Missing and Denied."""
    with autocommit() as connection:
        access.check(connection, grant)
    with acting_under(grant):
        return _read(run_id, grant.owner_id, _PAGES_FOR_MEMBERS[form], after)


def _read(run_id: str, user_id: str, page: RowPage, after: int) -> Piece:
    with autocommit() as connection:
        found = run_events.select_page(
            connection,
            run_id=run_id,
            user_id=user_id,
            after=after,
            limit=LIMIT,
            page=page,
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
