"""Queries for runs, and the allowed transitions between their states."""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from db import access, engine
from db.change_log import recording
from db.engine import Connection
from db.engine.failures import reference
from db.engine.statement import Statement
from db.errors import Conflict
from db.execution import run_events, run_queue, turns
from db.models import Id, new_id, runs
from db.paging import page
from db.paging.page import Page, TimePage
from db.run_documents import RUN
from db.sharing import telling

ENDED = ("succeeded", "failed", "timeout", "cancelled")
TRANSITIONS: dict[str, tuple[str, ...]] = {
    "pending": ("running", "failed", "timeout", "cancelled"),
    "running": ENDED,
    **dict.fromkeys(ENDED, ()),
}

_c = runs.c
# greatest() because a statement that waited may have started before the previous update.
NOW = sa.func.greatest(sa.func.statement_timestamp(), _c.updated_at)
_this = _c.id == sa.bindparam("this_id", type_=Id)

_one = sa.select(*RUN.columns).where(_this, access.RUN)
_select_one = Statement(_one)
_lock = Statement(_one.with_for_update())
_select_status = Statement(sa.select(_c.status).where(_this, access.RUN))


@functools.cache
def _select_page(filters: frozenset[str], order: str, *, resumed: bool, counted: bool) -> TimePage:
    return TimePage(
        RUN,
        access=access.RUN,
        filters=filters,
        order_by="created_at",
        order=order,
        resumed=resumed,
        counted=counted,
    )


_insert_columns: dict[str, sa.ColumnElement[Any]] = {
    "id": sa.bindparam("new_id", type_=Id),
    "created_by": sa.bindparam("acting_user", type_=sa.String),
    **{
        name: sa.bindparam(f"new_{name}", type_=_c[name].type)
        for name in ("agent_id", "conversation_id", "status", "input", "waits")
    },
    # Not the start of the transaction, which may have waited for a run that was created later.
    **dict.fromkeys(("created_at", "updated_at"), sa.func.statement_timestamp()),
}
_record_insert = recording.insertion(
    "run.created",
    conversation_id=_insert_columns["conversation_id"],
    resource_id=_insert_columns["id"],
    at=sa.func.statement_timestamp(),
)
_new = sa.insert(runs).values(_insert_columns).returning(*RUN.columns, _c.last_sequence)
_insert_waiting = Statement(_record_insert, _new)
_insert_pending = Statement(_record_insert, run_queue.INSERT_NEW, _new)
_insert_running = Statement(
    _record_insert, _new.values(started_at=sa.func.statement_timestamp(), last_sequence=1)
)


@functools.cache
def _update(status: str | None, changed: frozenset[str]) -> Statement:
    where = [_this, access.RUN]
    values: dict[str, Any] = {
        name: sa.bindparam(f"new_{name}", type_=_c[name].type) for name in sorted(changed)
    }
    if status is not None:
        values |= {"waits": sa.false(), "last_sequence": _c.last_sequence + 1}
        origins = [origin for origin, targets in TRANSITIONS.items() if status in targets]
        where.append(_c.status.in_(origins))
    if status == "running":
        values["started_at"] = sa.func.least(_c.started_at, NOW)
    elif status in ENDED:
        values["finished_at"] = sa.func.least(_c.finished_at, NOW)
    update = sa.update(runs).where(*where).values({**values, "updated_at": NOW})
    update_returning = update.returning(*RUN.columns, _c.last_sequence)
    if status is not None:  # its event is recorded
        return Statement(update_returning)
    record = recording.insertion_for(
        "run.updated",
        runs,
        where=where,
        at=NOW,
        conversation_id=_c.conversation_id,
        resource_id=_c.id,
    )
    # The lock keeps the row as it is recorded.
    lock = sa.select(_c.id).where(*where).with_for_update(key_share=True)
    return Statement(lock, record, update_returning)


def select_page(
    connection: Connection,
    *,
    user_id: str,
    limit: int,
    offset: int = 0,
    order: str = "desc",
    conversation_id: str | None = None,
    agent_id: str | None = None,
    status: str | None = None,
    after: list[Any] | None = None,
) -> Page:
    """Return a page of the user's runs. Keys are [created_at, id, total]."""
    filters = page.given(conversation_id=conversation_id, agent_id=agent_id, status=status)
    query = _select_page(
        frozenset(filters), order, resumed=after is not None, counted=page.needs_total(after)
    )
    values = {"acting_user": user_id, **filters}
    return query.read(connection, values, limit=limit, offset=offset, after=after)


def select_one(connection: Connection, *, run_id: str, user_id: str) -> bytes:
    """Return a run's document. Raises Missing and Denied."""
    return _found(_select_one, connection, run_id, user_id)


def lock(connection: Connection, *, run_id: str, user_id: str) -> bytes:
    """Lock a run until the transaction ends, and return its document.

    Raises Missing and Denied.
    """
    return _found(_lock, connection, run_id, user_id)


def lock_with_conversation(connection: Connection, *, run_id: str, user_id: str) -> bytes:
    """Lock a run's conversation and then the run, and return the run's document.

    The end of a run needs both locks, because it may let the next run of the conversation continue.
    Raises Missing and Denied.
    """
    turns.lock_conversation_of(connection, run_id=run_id, user_id=user_id)
    return lock(connection, run_id=run_id, user_id=user_id)


def _found(statement: Statement, connection: Connection, run_id: str, user_id: str) -> bytes:
    values = {"this_id": run_id, "acting_user": user_id}
    row = statement.row(connection, values)
    if row is None:
        access.refuse(connection, "run", row_id=run_id, user_id=user_id)
    return RUN.write(row)


def insert(
    connection: Connection,
    *,
    user_id: str,
    agent_id: str,
    conversation_id: str | None = None,
    status: str = "pending",
    input: Mapping[str, Any] | None = None,  # noqa: A002 (the column's name)
    waits: bool = False,
) -> tuple[str, bytes]:
    """Create a run, pending or running; return its id and its document.

    A pending one enters the queue, unless it waits for other runs of its conversation. A running
    one gets an event, and members are told, so it needs a transaction.
    Raises Reference for a conversation that is not the user's.
    """
    run_id = new_id()
    values = {
        "acting_user": user_id,
        "change_id": new_id(),
        "new_id": run_id,
        "new_agent_id": agent_id,
        "new_conversation_id": conversation_id,
        "new_status": status,
        "new_input": input,
        "new_waits": waits,
    }
    statement = _insert_running if status == "running" else _insert_pending
    if waits:
        statement = _insert_waiting
    with reference("conversation_id"):
        row = statement.row(connection, values)
    recording.announce(connection, user_id)
    # After the insert: the run's foreign key has locked the conversation, which shares wait for.
    _tell_members(connection, "run.created", conversation_id, run_id, user_id)
    if status == "running":
        run_events.insert_from_server(
            connection, row, user_id=user_id, event_type="run.started", is_new=True
        )
    elif not waits:
        engine.on_commit(connection, ("queue", agent_id))
    return run_id, RUN.write(row[:-1])


def update(
    connection: Connection, *, run_id: str, user_id: str, changes: Mapping[str, Any]
) -> bytes:
    """Change status, output or error; return the run's document.

    A new status also adds an event, the end of a run lets the next one of its conversation
    continue, and members are told, so it needs a transaction. Setting the current status again is
    allowed.
    Raises Missing, Denied, and Conflict if TRANSITIONS does not allow the new status.
    """
    if not changes:
        return select_one(connection, run_id=run_id, user_id=user_id)
    target = changes.get("status")
    if target in ENDED:
        lock_with_conversation(connection, run_id=run_id, user_id=user_id)
    else:
        turns.lock_conversation_of(connection, run_id=run_id, user_id=user_id)
    values = {"this_id": run_id, "acting_user": user_id, "change_id": new_id()}
    values |= {f"new_{name}": value for name, value in changes.items()}
    row = _update(target, frozenset(changes)).row(connection, values)
    if row is None and target is not None:
        status = _select_status.scalar(connection, values)
        if status is not None and status != target:
            raise _conflict(status, target)
        # Without the status: another transaction may have changed it meanwhile.
        row = _update(None, frozenset(changes) - {"status"}).row(connection, values)
        target = None
    if row is None:
        access.refuse(connection, "run", row_id=run_id, user_id=user_id)
    recording.announce(connection, user_id)
    if target is None:
        conversation_id = row[RUN.names.index("conversation_id")]
        _tell_members(connection, "run.updated", conversation_id, run_id, user_id)
    else:
        event_type = "run.started" if target == "running" else "run.ended"
        run_events.insert_from_server(connection, row, user_id=user_id, event_type=event_type)
        turns.settle(connection, row[:4], user_id=user_id, has_ended=target in ENDED)
    return RUN.write(row[:-1])


def _tell_members(
    connection: Connection, change: str, conversation_id: str | None, run_id: str, owner_id: str
) -> None:
    if conversation_id is not None:
        telling.tell_of_run(
            connection, change, conversation_id=conversation_id, owner_id=owner_id, run_id=run_id
        )


def _conflict(status: str, target: str | None) -> Conflict:
    next_states = TRANSITIONS[status]
    allowed = "it has ended"
    if next_states:
        allowed = f"it can become {', '.join(next_states[:-1])} or {next_states[-1]}"
    return Conflict(f"A run that is {status} cannot become {target}: {allowed}.")
