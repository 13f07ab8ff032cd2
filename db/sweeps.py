"""Deletes rows that no request needs any more, of all users."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa

from db import idempotency_keys, rate_limits
from db.change_log import change_positions
from db.engine import autocommit, transaction
from db.engine.statement import Statement
from db.execution import transient_events
from db.publishing import links
from db.rate_limits import Limit

BATCH_ROWS = 1000
LOCK = 7236251904476921438
"""An arbitrary number that no other program uses for its advisory locks."""

_try_lock = Statement(sa.select(sa.func.pg_try_advisory_xact_lock(sa.literal_column(str(LOCK)))))


class Retention(NamedTuple):
    """How long rows are kept."""

    transient_events: timedelta
    """After the end of their run."""
    changes: timedelta


def run(*, limit: Limit | None, link_limit: Limit | None = None, kept: Retention) -> None:
    """Delete expired responses and links, what is older than `kept`, and full buckets.

    Do nothing if another session is sweeping. Raises Unavailable and Timeout.
    """
    _sweep(idempotency_keys.delete_expired)
    for each, of_addresses in ((limit, False), (link_limit, True)):
        if each is not None:
            _sweep(partial(rate_limits.delete_full, limit=each, of_addresses=of_addresses))
    _sweep_links()
    _sweep_transient_events(kept.transient_events)
    _sweep_changes(datetime.now(UTC) - kept.changes)


def _sweep(delete: Callable[..., int]) -> None:
    """Delete rows until fewer than BATCH_ROWS are left, in a transaction for each batch."""
    deleted = BATCH_ROWS
    while deleted == BATCH_ROWS:
        with transaction() as connection:
            if not _try_lock.scalar(connection, {}):
                return
            deleted = delete(connection, most=BATCH_ROWS)


def _sweep_links() -> None:
    """Delete expired links and their snapshots, in a transaction for each link."""
    found = BATCH_ROWS
    while found == BATCH_ROWS:
        with autocommit() as connection:
            expired = links.select_expired(connection, most=BATCH_ROWS)
        for each in expired:
            with transaction() as connection:
                if not _try_lock.scalar(connection, {"acting_user": each.user_id}):
                    return
                links.delete_expired(connection, each)
        found = len(expired)


def _sweep_transient_events(kept: timedelta) -> None:
    """Delete the transient events of runs that ended longer ago than `kept`, in small steps.

    The roles differ: one finds the runs, and the events of each are deleted as its owner.
    """
    found = BATCH_ROWS
    while found == BATCH_ROWS:
        with autocommit() as connection:
            due = transient_events.select_due(connection, kept=kept, most=BATCH_ROWS)
        for run_id, user_id in due:
            deleted = BATCH_ROWS
            while deleted == BATCH_ROWS:
                with transaction() as connection:
                    if not _try_lock.scalar(connection, {"acting_user": user_id}):
                        return
                    deleted = transient_events.delete(
                        connection, run_id=run_id, user_id=user_id, most=BATCH_ROWS
                    )
        found = len(due)


def _sweep_changes(before: datetime) -> None:
    """Delete changes made before a time, in a transaction for each owner.

    The roles differ: one finds the owners, and each owner's changes are deleted as the owner.
    """
    found = BATCH_ROWS
    while found == BATCH_ROWS:
        with autocommit() as connection:
            owners = change_positions.select_owners_of_old(
                connection, before=before, most=BATCH_ROWS
            )
        for user_id in dict.fromkeys(owners):
            with transaction() as connection:
                if not _try_lock.scalar(connection, {"acting_user": user_id}):
                    return
                change_positions.delete_old(
                    connection, user_id=user_id, before=before, most=BATCH_ROWS
                )
        found = len(owners)
