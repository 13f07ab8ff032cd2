"""Reads the positions of the topics that the streams and claims of a process wait for."""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import sqlalchemy as sa

from db.engine import autocommit, roles
from db.engine.shards import NODES_OF_OWNERS
from db.engine.statement import Statement
from db.engine.unit_of_work import Topic, is_distributed
from db.errors import Failure, Timeout, Unavailable
from db.execution.run_events import ACTIVE
from db.models import Id, change_positions, changes, run_queue, runs

Value = tuple[int, ...]


def _any(name: str, kind: Any) -> sa.ColumnElement[Any]:
    array = sa.ARRAY(kind)
    return sa.func.any(sa.cast(sa.bindparam(name, type_=array), array))


def _select(*, of_owners: bool = False) -> Statement:
    """Return the statement that reads the values of all kinds of topics.

    The first column of the primary key finds a run. `of_owners` adds the owners of the runs, so
    that only their nodes are asked. PostgreSQL compares them with each run, so this takes longer.

    The two counts of a user's changes are added: numbering moves changes from one to the other, so
    the sum never decreases. For a queue, the statement only returns whether it has a run.
    """
    has_ended = sa.cast(runs.c.status.not_in(ACTIVE), sa.Integer)
    none: sa.ColumnElement[int] = sa.literal_column("0")
    these_runs = [runs.c.id == _any("run", Id)]
    if of_owners:
        these_runs.append(runs.c.created_by == _any("run_owner", sa.String))
    parts = [
        sa.select(
            sa.literal_column("'run'"), sa.cast(runs.c.id, sa.Text), runs.c.last_sequence, has_ended
        ).where(*these_runs),
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
_select_values_of_owners = _select(of_owners=True)


def select_values(topics: Sequence[Topic]) -> Mapping[Topic, Value]:
    """Return how far each topic is, for all users. Raises Unavailable and Timeout.

    If the tables are distributed and a node is away, return the topics of the other nodes.
    """
    try:
        return _read(_select_values, topics)
    except (Unavailable, Timeout) as failure:
        nodes = _by_node(topics)
        if not nodes:
            raise
        return _read_each(nodes, failure)


def _read(select: Statement, topics: Sequence[Topic]) -> dict[Topic, Value]:
    names: dict[str, list[str]] = {"run": [], "run_owner": [], "changes": [], "queue": []}
    for kind, name, *owner in topics:
        names[kind].append(name)
        names["run_owner"] += owner
    owners = dict(zip(names["run"], names["run_owner"], strict=True))
    for kind in ("run_owner", "changes", "queue"):
        # With an empty list Citus would ask all nodes.
        names[kind] = names[kind] or [topics[0][-1]]
    values: dict[Topic, Value] = {}
    with autocommit() as connection:
        rows = select.rows(connection, names)
    for kind, name, count, has_ended in rows:
        if kind == "run":
            values[kind, name, owners[name]] = (count, has_ended)
        elif kind == "changes":  # of up to two rows
            (before,) = values.get((kind, name), (0,))
            values[kind, name] = (before + count,)
        else:  # wakes the claims at each poll, as long as the queue has a run
            values[kind, name] = (time.monotonic_ns(),)
    return {topic: values[topic] for topic in topics if topic in values}


def _by_node(topics: Sequence[Topic]) -> list[list[Topic]]:
    """Return the topics of each node that has some; without distribution, none."""
    owners = {"owners": [topic[-1] for topic in topics]}
    with autocommit() as connection:
        if not is_distributed(connection):
            return []
        with closing(connection.execute(connection.settings + NODES_OF_OWNERS, owners)) as result:
            nodes = [set(names) for (names,) in result.fetchall()]
    return [[topic for topic in topics if topic[-1] in names] for names in nodes]


def _read_each(nodes: Sequence[Sequence[Topic]], failure: Failure) -> dict[Topic, Value]:
    """Return the values of the nodes that answer. Raises `failure` if none does."""
    values: dict[Topic, Value] = {}
    failed = 0
    for topics in nodes:
        try:
            values |= _read(_select_values_of_owners, topics)
        except (Unavailable, Timeout):
            failed += 1
    if failed == len(nodes):
        raise failure
    return values
