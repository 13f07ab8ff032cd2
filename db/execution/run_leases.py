"""Queries for the leases of workers on runs."""

from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as sa_insert

from db import access
from db.documents import time, utc
from db.engine import Connection, acting_under, roles
from db.engine.statement import Statement
from db.execution.lease_text import LeaseText
from db.models import Id, conversations, run_leases, runs

GRACE = timedelta(seconds=1)
"""A run becomes pending again this long after its lease, so that a heartbeat that was sent in time
arrives in time."""

_c = run_leases.c
_now = sa.func.statement_timestamp()
_this = sa.and_(_c.run_id == sa.bindparam("of_run", type_=Id), access.LEASE)
_until = _now + sa.bindparam("seconds", type_=sa.Interval)


def _upsert() -> Statement:
    row = sa_insert(run_leases).values(
        run_id=sa.bindparam("of_run", type_=Id),
        user_id=sa.bindparam("acting_user", type_=sa.String),
        hash=sa.bindparam("new_hash", type_=_c.hash.type),
        worker=sa.bindparam("new_worker", type_=sa.String),
        expires_at=_until,
    )
    replaced = {name: row.excluded[name] for name in ("hash", "worker", "expires_at")}
    upsert = row.on_conflict_do_update(index_elements=[_c.run_id, _c.user_id], set_=replaced)
    return Statement(upsert.returning(utc(_c.expires_at)))


_insert = _upsert()
_worker = sa.select(_c.worker).where(
    _this, _c.hash == sa.bindparam("this_hash", type_=_c.hash.type), _c.expires_at > _now
)
_select_worker = Statement(_worker)
_lock_run = (
    sa.select(runs.c.id)
    .where(runs.c.id == sa.bindparam("of_run", type_=Id), access.RUN)
    .with_for_update(key_share=True)
)
_lock_conversation = (
    sa.select(conversations.c.id)
    .where(conversations.c.id == sa.bindparam("of_conversation", type_=Id), access.CONVERSATION)
    .with_for_update(key_share=True)
)
_lock = Statement(_lock_run, _worker)
_lock_both = Statement(_lock_conversation, _lock_run, _worker)
_extend = Statement(
    sa.update(run_leases)
    .where(_this, runs.c.id == _c.run_id, runs.c.created_by == _c.user_id, access.RUN)
    .values(expires_at=_until)
    .returning(utc(_c.expires_at), utc(runs.c.cancel_requested_at))
)
_delete = Statement(sa.delete(run_leases).where(_this))
# With a cast, because PostgreSQL cannot infer what a prepared statement subtracts.
_is_over = _c.expires_at < _now - sa.cast(GRACE, sa.Interval)
_delete_expired = Statement(sa.delete(run_leases).where(_this, _is_over))
_postpone = Statement(sa.update(run_leases).where(_this, _is_over).values(expires_at=_now))
_select_expired = Statement(
    sa.select(_c.run_id, _c.user_id)
    .where(_is_over)
    .order_by(_c.expires_at)
    .limit(sa.bindparam("most", type_=sa.Integer)),
    role=roles.EXISTENCE,
)


class Expired(NamedTuple):
    """The run of an expired lease, and its owner."""

    run_id: str
    user_id: str


def insert(connection: Connection, *, lease: LeaseText, worker: str) -> str:
    """Store the lease of a worker, and return when it expires."""
    values = {
        "of_run": lease.run_id,
        "acting_user": lease.user_id,
        "new_hash": lease.hash,
        "new_worker": worker,
        "seconds": timedelta(seconds=lease.seconds),
    }
    return time(_insert.scalar(connection, values))


def select_worker(connection: Connection, *, lease: LeaseText) -> str | None:
    """Return the worker that has the lease, or None if the lease is not valid any more."""
    return _worker_of(lease, connection, _select_worker)


def lock(connection: Connection, *, lease: LeaseText, with_conversation: bool) -> str | None:
    """Return the same as `select_worker`, and keep the lease valid until the transaction ends.

    This locks the run, and before it the conversation if that is to be changed as well. All who end
    a lease lock its run first.
    """
    return _worker_of(lease, connection, _lock_both if with_conversation else _lock)


def _worker_of(lease: LeaseText, connection: Connection, statement: Statement) -> str | None:
    values = {
        "of_run": lease.run_id,
        "of_conversation": lease.conversation_id,
        "acting_user": lease.user_id,
        "this_hash": lease.hash,
    }
    with acting_under(lease.scope):
        worker: str | None = statement.scalar(connection, values)
    return worker


def extend(
    connection: Connection, *, run_id: str, user_id: str, seconds: int
) -> tuple[str, str | None] | None:
    """Extend the lease; return when it expires, and when the run's cancellation was requested.

    Return None if the run has just ended.
    """
    values = {"of_run": run_id, "acting_user": user_id, "seconds": timedelta(seconds=seconds)}
    row = _extend.row(connection, values)
    if row is None:
        return None
    expires_at, cancel_requested_at = row
    return time(expires_at), cancel_requested_at and time(cancel_requested_at)


def delete(connection: Connection, *, run_id: str, user_id: str) -> None:
    """Delete the lease of a run, if there is one."""
    _delete.rowcount(connection, {"of_run": run_id, "acting_user": user_id})


def delete_expired(connection: Connection, *, run_id: str, user_id: str) -> bool:
    """Delete the lease if it has expired, and return whether it had."""
    values = {"of_run": run_id, "acting_user": user_id}
    return _delete_expired.rowcount(connection, values) > 0


def postpone(connection: Connection, *, run_id: str, user_id: str) -> None:
    """Let an expired lease come last in `select_expired`. It stays expired."""
    _postpone.rowcount(connection, {"of_run": run_id, "acting_user": user_id})


def select_expired(connection: Connection, *, most: int) -> list[Expired]:
    """Return up to `most` leases, of all users, that expired first."""
    return [Expired(*row) for row in _select_expired.rows(connection, {"most": most})]
