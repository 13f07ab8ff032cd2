"""Queries for the events of runs.

The events of a run are numbered from 1 without gaps, under the lock of the run's row.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import psycopg2.errors
import sqlalchemy as sa

from db import access, engine
from db.change_log import recording
from db.documents import Document, Row, time
from db.engine import Connection, current_membership
from db.engine.statement import Statement
from db.errors import Conflict
from db.models import Id, Moment, new_id, run_events, runs
from db.paging.row_page import MAX_BYTES, RowPage, Write, write_array
from db.run_documents import MEMBER_RUN_EVENT, RUN, RUN_EVENT
from db.sharing import telling

ACTIVE = ("pending", "running")
_OUTDATED = (
    "`after` is {}, but the run has later events: list them, and then decide what to append."
)

_c = run_events.c
_run = sa.bindparam("of_run", type_=Id)
_this_run = sa.and_(runs.c.id == _run, access.RUN)
_count = sa.bindparam("event_count", type_=sa.BigInteger)


class Numbers(NamedTuple):
    """The numbers of the first and the last of some events."""

    first: int
    last: int


class Events(NamedTuple):
    """A page of events, and where their run is."""

    documents: bytes
    last_read: int
    """The number of the last of these events; without events, the number before them."""
    last_time: str
    """When the last of these events was stored; empty without events."""
    has_more: bool
    last_sequence: int
    status: str


def _array(name: str, kind: type[sa.types.TypeEngine[Any]]) -> sa.Cast[Any]:
    array = sa.ARRAY(kind)
    return sa.cast(sa.bindparam(name, type_=array), array)


def _append(
    update_condition: sa.ColumnElement[bool], insert_condition: sa.ColumnElement[bool]
) -> Statement:
    """Return the statements that take the next numbers, and add events with these numbers."""
    last = runs.c.last_sequence
    has_transient = sa.bindparam("has_transient", type_=sa.Boolean)
    update = (
        sa.update(runs)
        .where(_this_run, update_condition)
        .values(
            last_sequence=last + _count,
            has_transient=sa.or_(runs.c.has_transient, has_transient),
        )
    )
    new = (
        sa.func.unnest(
            _array("types", sa.Text),
            _array("data", sa.Text),
            _array("transient", sa.Boolean),
        )
        .table_valued("type", "data", "transient", with_ordinality="number", name="new")
        .render_derived()
    )
    columns: dict[str, sa.ColumnElement[Any]] = {
        "run_id": runs.c.id,
        "user_id": runs.c.created_by,
        "sequence": last - _count + new.c.number,
        "type": new.c.type,
        "data": sa.cast(new.c.data, sa.JSON),
        "transient": new.c.transient,
        "created_at": sa.func.statement_timestamp(),
    }
    rows = sa.select(*columns.values()).select_from(sa.join(runs, new, sa.true()))
    insert = sa.insert(run_events).from_select(
        list(columns), rows.where(_this_run, insert_condition)
    )
    return Statement(update, insert.returning(_c.sequence))


_after = sa.bindparam("after", type_=sa.BigInteger)
_is_active = runs.c.status.in_(ACTIVE)
_insert = _append(_is_active, _is_active)
# If `after` is out of date, the INSERT finds no row, or it meets the numbers of other events.
_insert_after = _append(
    sa.and_(_is_active, runs.c.last_sequence == _after),
    sa.and_(_is_active, runs.c.last_sequence == _after + _count),
)
_at = sa.cast(sa.bindparam("at", type_=sa.Text), Moment)
_numbered = sa.insert(run_events).values(
    run_id=_run,
    user_id=sa.bindparam("acting_user", type_=sa.String),
    sequence=sa.bindparam("sequence", type_=sa.BigInteger),
    type=sa.bindparam("new_type", type_=sa.String),
    data=sa.cast(sa.bindparam("new_data", type_=sa.Text), sa.JSON),
    created_at=_at,
)
_record = recording.insertion(
    "run.updated",
    conversation_id=sa.bindparam("of_conversation", type_=Id),
    resource_id=_run,
    at=_at,
)
_insert_first = Statement(_numbered)
_insert_numbered = Statement(_record, _numbered)
_select_position = Statement(sa.select(runs.c.last_sequence, runs.c.status).where(_this_run))


def page_written_by(
    write: Write, max_bytes: int = MAX_BYTES, document: Document = RUN_EVENT
) -> RowPage:
    """Return the query for a page of events, for `select_page`. It writes structures RunEvent."""

    def with_run(page: sa.Select[Any]) -> sa.Select[Any]:
        found = page.subquery("found")
        return (
            sa.select(found, runs.c.last_sequence, runs.c.status)
            .select_from(sa.outerjoin(runs, found, sa.true()))
            .where(_this_run)
        )

    return RowPage(
        document,
        where=[_c.run_id == _run, access.RUN_EVENT, _c.sequence > _after],
        order_by=[_c.sequence],
        around=with_run,
        write=write,
        max_bytes=max_bytes,
    )


_page = page_written_by(write_array)
_page_for_members = page_written_by(write_array, document=MEMBER_RUN_EVENT)


def insert(
    connection: Connection,
    *,
    run_id: str,
    user_id: str,
    events: Sequence[Mapping[str, Any]],
    after: int | None = None,
) -> Numbers:
    """Append events, each with `type`, `data` and perhaps `transient`, and return their numbers.

    With `after`, that must be the number of the last event so far.
    Raises Missing, Denied, and Conflict if the run has ended or has later events.
    """
    statement = _insert if after is None else _insert_after
    values = {"of_run": run_id, "acting_user": user_id, "after": after, **_arrays(events)}
    try:
        numbers = [number for (number,) in statement.rows(connection, values)]
    except psycopg2.errors.UniqueViolation:
        raise Conflict(_OUTDATED.format(after)) from None
    if not numbers:
        position = _select_position.row(connection, values)
        if position is None:
            access.refuse(connection, "run", row_id=run_id, user_id=user_id)
        if position[1] in ACTIVE:
            raise Conflict(_OUTDATED.format(after))
        raise Conflict(f"The run is {position[1]}: a run that has ended gets no more events.")
    engine.on_commit(connection, ("run", run_id, user_id))
    return Numbers(min(numbers), max(numbers))


def insert_from_server(
    connection: Connection, row: Row, *, user_id: str, event_type: str, is_new: bool = False
) -> bytes:
    """Add an event about a change of the run itself, and return the run's document.

    `row` has the columns of RUN and, at its end, the number that the change has taken. The change
    counts `last_sequence` itself, so that it updates the run once: after a second update PostgreSQL
    would lock the conversation, whose lock must come first. This also records the change in the
    logs of the user and of the conversation's members, except for a new run, whose creation is
    already recorded. The caller has locked the conversation.
    """
    values = dict(zip(RUN.names, row, strict=False))
    run = RUN.write(row[: len(RUN.names)])
    parameters = {
        "of_run": values["id"],
        "acting_user": user_id,
        "of_conversation": values["conversation_id"],
        "change_id": new_id(),
        "sequence": row[-1],
        "at": f"{values['updated_at']}+00",
        "new_type": event_type,
        "new_data": run.decode(),
    }
    (_insert_first if is_new else _insert_numbered).rowcount(connection, parameters)
    recording.announce(connection, user_id)
    if not is_new and values["conversation_id"] is not None:
        telling.tell_of_run(
            connection,
            "run.updated",
            conversation_id=values["conversation_id"],
            owner_id=user_id,
            run_id=values["id"],
        )
    engine.on_commit(connection, ("run", values["id"], user_id))
    return run


def select_page(
    connection: Connection,
    *,
    run_id: str,
    user_id: str,
    after: int,
    limit: int,
    page: RowPage | None = None,
) -> Events:
    """Return up to `limit` events after a number, in their order.

    Raises Missing, Denied and Granted.
    """
    if page is None:
        page = _page if current_membership() is None else _page_for_members
    values = {"of_run": run_id, "acting_user": user_id, "after": after}
    rows = page.read(connection, values, limit=limit, offset=0)
    if rows is None:
        access.refuse(connection, "run", row_id=run_id, user_id=user_id, allows=access.READ)
    last_read, last_time = after, ""
    if rows.last:
        last_read, *_, created_at = rows.last[:5]
        last_time = time(created_at)
    return Events(rows.documents, last_read, last_time, rows.has_more, *rows.extra)


def select_position(connection: Connection, *, run_id: str, user_id: str) -> tuple[int, str]:
    """Return the number of the run's last event, and its status.

    Raises Missing, Denied and Granted.
    """
    row = _select_position.row(connection, {"of_run": run_id, "acting_user": user_id})
    if row is None:
        access.refuse(connection, "run", row_id=run_id, user_id=user_id, allows=access.READ)
    last_sequence, status = row
    return last_sequence, status


def _arrays(events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the events as parameters: one array for each property."""
    transient = [bool(event.get("transient")) for event in events]
    return {
        "event_count": len(events),
        "types": [event["type"] for event in events],
        "data": [orjson.dumps(event["data"]).decode() for event in events],
        "transient": transient,
        "has_transient": any(transient),
    }
