"""Queries that delete the transient events of runs that ended some time ago."""

from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa

from db import access
from db.engine import Connection, roles
from db.engine.statement import Statement
from db.models import Id, run_events, runs

_c = run_events.c
_run = sa.bindparam("of_run", type_=Id)
_most = sa.bindparam("most", type_=sa.Integer)
_now = sa.func.statement_timestamp()
_select_due = Statement(
    sa.select(runs.c.id, runs.c.created_by)
    .where(
        runs.c.has_transient,
        runs.c.finished_at < _now - sa.cast(sa.bindparam("kept"), sa.Interval),
    )
    .order_by(runs.c.finished_at)
    .limit(_most),
    role=roles.EXISTENCE,
)
_own = sa.and_(_c.run_id == _run, access.RUN_EVENT)
_oldest = sa.select(_c.sequence).where(_own, _c.transient).order_by(_c.sequence).limit(_most)
_delete = Statement(sa.delete(run_events).where(_own, _c.sequence.in_(_oldest)))
_mark = Statement(sa.update(runs).where(runs.c.id == _run, access.RUN).values(has_transient=False))


class Due(NamedTuple):
    """A run whose transient events are to be deleted, and its owner."""

    run_id: str
    user_id: str


def select_due(connection: Connection, *, kept: timedelta, most: int) -> list[Due]:
    """Return up to `most` runs of all users that ended longer ago than `kept`."""
    return [Due(*row) for row in _select_due.rows(connection, {"kept": kept, "most": most})]


def delete(connection: Connection, *, run_id: str, user_id: str, most: int) -> int:
    """Delete up to `most` transient events of a run; return how many. Call it until it is fewer."""
    values = {"of_run": run_id, "acting_user": user_id, "most": most}
    deleted = _delete.rowcount(connection, values)
    if deleted < most:
        _mark.rowcount(connection, values)
    return deleted
