"""Queries for the queue of pending runs.

A claim locks the row of the queue before the run. Other transactions already hold the run when they
remove its row, so they skip a locked row instead of waiting for it, which could deadlock. The claim
then sees that the run has left the status pending, and removes the row.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from db import access, engine
from db.engine import Connection, roles
from db.engine.statement import Statement
from db.models import Id, run_queue

_c = run_queue.c
_agent = sa.bindparam("of_agent", type_=sa.String)
_run = sa.bindparam("of_run", type_=Id)
_this = sa.and_(_c.agent_id == _agent, _c.run_id == _run, access.QUEUED)

_user = sa.bindparam("acting_user", type_=sa.String)
INSERT_NEW = sa.insert(run_queue).values(
    agent_id=sa.bindparam("new_agent_id", type_=sa.String),
    run_id=sa.bindparam("new_id", type_=Id),
    user_id=_user,
    created_at=sa.func.statement_timestamp(),
)
"""Adds a run together with the statement that creates it."""
_insert = Statement(
    sa.insert(run_queue).values(
        agent_id=_agent,
        run_id=_run,
        user_id=_user,
        created_at=sa.bindparam("since", type_=_c.created_at.type),
    )
)
_free = sa.select(_c.run_id).where(_this).with_for_update(skip_locked=True)
_delete = Statement(sa.delete(run_queue).where(_this, _c.run_id.in_(_free)))
# Ordered by the oldest run of each agent. A single agent needs no order.
_select_agents = Statement(
    sa.select(_c.agent_id)
    .where(_c.agent_id == sa.func.any(sa.bindparam("of_agents", type_=sa.ARRAY(sa.String))))
    .group_by(_c.agent_id)
    .order_by(sa.func.min(_c.created_at)),
    role=roles.WORKER,
)
_lock_oldest = Statement(
    sa.select(_c.run_id, _c.user_id)
    .where(_c.agent_id == _agent)
    .order_by(_c.created_at, _c.run_id)
    .limit(1)
    .with_for_update(skip_locked=True),
    role=roles.WORKER,
)


class Entry(NamedTuple):
    """A run in the queue, and its owner."""

    agent_id: str
    run_id: str
    user_id: str


def insert(
    connection: Connection, *, agent_id: str, run_id: str, user_id: str, created_at: Any
) -> None:
    """Add a pending run of the user."""
    values = {"of_agent": agent_id, "of_run": run_id, "since": created_at}
    _insert.rowcount(connection, {"acting_user": user_id, **values})
    engine.on_commit(connection, ("queue", agent_id))


def delete(connection: Connection, *, agent_id: str, run_id: str, user_id: str) -> None:
    """Remove a run from the queue. Skip its row if a claim has locked it, and will remove it."""
    values = {"acting_user": user_id, "of_agent": agent_id, "of_run": run_id}
    _delete.rowcount(connection, values)


def select_agents(connection: Connection, *, agent_ids: Sequence[str]) -> list[str]:
    """Return those of the agents that have runs in the queue, the one with the oldest run first."""
    if len(agent_ids) == 1:
        return list(agent_ids)
    return [name for (name,) in _select_agents.rows(connection, {"of_agents": list(agent_ids)})]


def lock_oldest(connection: Connection, *, agent_id: str) -> Entry | None:
    """Lock the agent's oldest run in the queue that no other claim has locked, and return it."""
    row = _lock_oldest.row(connection, {"of_agent": agent_id})
    return None if row is None else Entry(agent_id, *row)
