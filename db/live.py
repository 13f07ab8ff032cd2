"""Reads the positions of the topics that the streams and claims of a process wait for."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from db.engine import autocommit, roles
from db.engine.statement import Statement
from db.engine.unit_of_work import Topic
from db.execution.run_events import ACTIVE
from db.models import Id, change_positions, changes, run_queue, runs


def _any(name: str, kind: Any) -> sa.ColumnElement[Any]:
    array = sa.ARRAY(kind)
    return sa.func.any(sa.cast(sa.bindparam(name, type_=array), array))


def _select() -> Statement:
    """Return the statement that reads the values of all kinds of topics.

    A topic names a run without its owner, so the first column of the primary key finds the run. The
    two counts of a user's changes are added: numbering moves changes from one to the other, so the
    sum never decreases. For a queue, the statement only returns whether it has a run.
    """
    has_ended = sa.cast(runs.c.status.not_in(ACTIVE), sa.Integer)
    none: sa.ColumnElement[int] = sa.literal_column("0")
    parts = [
        sa.select(
            sa.literal_column("'run'"), sa.cast(runs.c.id, sa.Text), runs.c.last_sequence, has_ended
        ).where(runs.c.id == _any("run", Id)),
        sa.select(
            sa.literal_column("'changes'"),
            change_positions.c.user_id,
            change_positions.c.last_sequence,
            none,
        ).where(change_positions.c.user_id == _any("changes", sa.String)),
        sa.select(sa.literal_column("'changes'"), changes.c.user_id, sa.func.count(), none)
        .where(changes.c.user_id == _any("changes", sa.String), changes.c.sequence.is_(None))
        .group_by(changes.c.user_id),
        sa.select(sa.literal_column("'queue'"), run_queue.c.agent_id, none, none)
        .where(run_queue.c.agent_id == _any("queue", sa.String))
        .group_by(run_queue.c.agent_id),
    ]
    return Statement(sa.union_all(*parts), role=roles.EXISTENCE)


_select_values = _select()


def select_values(topics: Sequence[Topic]) -> Mapping[Topic, tuple[int, ...]]:
    """Return how far each topic is, for all users. Raises Unavailable and Timeout."""
    names: dict[str, list[str]] = {"run": [], "changes": [], "queue": []}
    for kind, name in topics:
        names[kind].append(name)
    values: dict[Topic, tuple[int, ...]] = {}
    with autocommit() as connection:
        rows = _select_values.rows(connection, names)
    for kind, name, count, has_ended in rows:
        if kind == "run":
            values[kind, name] = (count, has_ended)
        elif kind == "changes":  # of up to two rows
            (before,) = values.get((kind, name), (0,))
            values[kind, name] = (before + count,)
        else:  # wakes the claims at each poll, as long as the queue has a run
            values[kind, name] = (time.monotonic_ns(),)
    return values
