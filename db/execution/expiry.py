"""Ends or requeues the runs of workers that no longer send heartbeats."""

from collections.abc import Callable

import orjson
import sqlalchemy as sa

from db import access, runs
from db.engine import Connection, autocommit, roles, transaction
from db.engine.statement import Statement
from db.execution import run_events, run_leases, run_queue, turns
from db.execution.attempts import raise_first, try_each
from db.models import Id
from db.models import runs as _runs
from db.run_documents import RUN

MAX_ATTEMPTS = 3
BATCH_ROWS = 100
LOCK = 7236251904476921439
"""An arbitrary number that no other program uses for its advisory locks."""
_TIMEOUT = f"The worker stopped responding, and {MAX_ATTEMPTS} attempts are the limit."

_c = _runs.c
_try_lock = Statement(
    sa.select(sa.func.pg_try_advisory_xact_lock(sa.literal_column(str(LOCK)))),
    role=roles.EXISTENCE,
)
_requeue = Statement(
    sa.update(_runs)
    .where(_c.id == sa.bindparam("this_id", type_=Id), access.RUN)
    .values(
        status=sa.text("'pending'"),
        started_at=None,
        updated_at=runs.NOW,
        last_sequence=_c.last_sequence + 1,
    )
    .returning(*RUN.columns, _c.created_at, _c.last_sequence)
)


def run(*, on_expired: Callable[[], object] = lambda: None, most: int = BATCH_ROWS) -> None:
    """Handle the runs whose leases have expired, each in its own transaction.

    `on_expired` is called for each of them; `most` are selected at a time. Do nothing if another
    session looks for them. If some could not be handled, they come after all others next time, and
    this raises the first Failure or Refused after it has tried the others of the same selection.
    """
    found = most
    while found == most:
        with transaction() as connection:
            if not _try_lock.scalar(connection, {}):
                return
            expired = run_leases.select_expired(connection, most=most)
        failed = try_each(expired, lambda c, lease: expire(c, **lease._asdict()))
        for _ in range(len(expired) - len(failed)):
            on_expired()
        for lease in failed:
            with autocommit() as connection:
                run_leases.postpone(connection, **lease._asdict())
        raise_first(failed)
        found = len(expired)


def expire(connection: Connection, *, run_id: str, user_id: str) -> None:
    """End a run whose lease has expired, or let another worker claim it.

    It needs a transaction. Does nothing if a heartbeat has extended the lease meanwhile.
    """
    found = orjson.loads(runs.lock_with_conversation(connection, run_id=run_id, user_id=user_id))
    if not run_leases.delete_expired(connection, run_id=run_id, user_id=user_id):
        return
    if found["status"] != "running":  # a server of 1.0 has ended it, and left the lease
        if found["conversation_id"] is not None:
            turns.continue_conversation(
                connection, conversation_id=found["conversation_id"], user_id=user_id
            )
        return
    if found["cancel_requested_at"] is not None:
        changes = {"status": "cancelled"}
    elif found["attempts"] >= MAX_ATTEMPTS:
        changes = {"status": "timeout", "error": _TIMEOUT}
    else:
        _return_to_queue(connection, run_id, user_id)
        return
    runs.update(connection, run_id=run_id, user_id=user_id, changes=changes)


def _return_to_queue(connection: Connection, run_id: str, user_id: str) -> None:
    row = _requeue.row(connection, {"this_id": run_id, "acting_user": user_id})
    run_events.insert_from_server(connection, row, user_id=user_id, event_type="run.requeued")
    agent_id, created_at = row[1], row[-2]
    run_queue.insert(
        connection, agent_id=agent_id, run_id=run_id, user_id=user_id, created_at=created_at
    )
