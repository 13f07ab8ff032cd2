"""Claims pending runs for workers."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from db import access
from db.engine import Connection, Lease, acting_under, transaction
from db.engine.statement import Statement
from db.execution import lease_text, run_events, run_leases, run_queue, turns
from db.execution.run_queue import Entry
from db.models import Id, runs
from db.run_documents import RUN
from db.runs import NOW

_c = runs.c
_start = Statement(
    sa.update(runs)
    .where(
        _c.id == sa.bindparam("this_id", type_=Id),
        access.RUN,
        sa.text("status = 'pending'"),
        sa.not_(_c.waits),
    )
    .values(
        status=sa.text("'running'"),
        started_at=NOW,
        updated_at=NOW,
        attempts=_c.attempts + 1,
        last_sequence=_c.last_sequence + 1,
    )
    .returning(*RUN.columns, _c.last_sequence)
)


class Claim(NamedTuple):
    """A run that was started for a worker, and the worker's lease."""

    run: bytes
    lease: str
    lease_expires_at: str


def claim(*, agent_ids: Sequence[str], worker: str, seconds: int) -> Claim | None:
    """Start the oldest run in the queue of the agents, and return it with a lease.

    Runs that other claims have locked are skipped. Each run that is not pending any more ends the
    transaction: its row stays locked, and others may lock several runs in another order.
    """
    while True:
        with transaction() as connection:
            entry = _oldest(connection, agent_ids)
            if entry is None:
                return None
            conversation_id = _conversation_of(connection, entry)
            with acting_under(Lease(entry.run_id, conversation_id)):
                if conversation_id is not None:  # before the run, as everywhere
                    turns.lock_conversation(
                        connection, conversation_id=conversation_id, user_id=entry.user_id
                    )
                run_queue.delete(connection, **entry._asdict())
                claimed = _started(connection, entry, worker, seconds)
        if claimed is not None:
            return claimed


def _oldest(connection: Connection, agent_ids: Sequence[str]) -> Entry | None:
    for agent_id in run_queue.select_agents(connection, agent_ids=agent_ids):
        entry = run_queue.lock_oldest(connection, agent_id=agent_id)
        if entry is not None:
            return entry
    return None


def _conversation_of(connection: Connection, entry: Entry) -> str | None:
    with acting_under(Lease(entry.run_id, None)):
        return turns.select_conversation_of(connection, run_id=entry.run_id, user_id=entry.user_id)


def _started(connection: Connection, entry: Entry, worker: str, seconds: int) -> Claim | None:
    """Start the run, or return None if it is not pending any more."""
    row = _start.row(connection, {"this_id": entry.run_id, "acting_user": entry.user_id})
    if row is None:
        return None
    conversation_id = row[RUN.names.index("conversation_id")]
    lease = lease_text.issue(
        run_id=entry.run_id,
        conversation_id=conversation_id,
        user_id=entry.user_id,
        seconds=seconds,
    )
    expires_at = run_leases.insert(connection, lease=lease, worker=worker)
    run = run_events.insert_from_server(
        connection, row, user_id=entry.user_id, event_type="run.started"
    )
    return Claim(run, lease.text, expires_at)
