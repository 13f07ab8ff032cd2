"""Reads how far the topics are that the streams of a process wait for."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from db.engine import autocommit, roles
from db.engine.statement import Statement
from db.engine.unit_of_work import Topic
from db.models import Id, change_positions, changes, runs
from db.run_events import ACTIVE

_ids = sa.bindparam("run_ids", type_=sa.ARRAY(Id))
# By the first column of the primary key: the owners would have to be known to name them.
_select = Statement(
    sa.select(
        runs.c.id, runs.c.last_sequence, sa.cast(runs.c.status.not_in(ACTIVE), sa.Integer)
    ).where(runs.c.id == sa.func.any(sa.cast(_ids, sa.ARRAY(Id)))),
    role=roles.EXISTENCE,
)
_users = sa.bindparam("user_ids", type_=sa.ARRAY(sa.String))
_has_user = sa.func.any(sa.cast(_users, sa.ARRAY(sa.String)))


def _count_changes() -> Statement:
    """Return the statement that counts each user's changes, those without a number too.

    The count only increases: numbering moves changes from one part to the other.
    """
    numbered = sa.select(
        change_positions.c.user_id, change_positions.c.last_sequence.label("count")
    ).where(change_positions.c.user_id == _has_user)
    others = (
        sa.select(changes.c.user_id, sa.func.count())
        .where(changes.c.user_id == _has_user, changes.c.sequence.is_(None))
        .group_by(changes.c.user_id)
    )
    both = sa.union_all(numbered, others).subquery("both")
    total = sa.cast(sa.func.sum(both.c.count), sa.BigInteger)
    return Statement(
        sa.select(both.c.user_id, total).group_by(both.c.user_id), role=roles.EXISTENCE
    )


_select_changes = _count_changes()


def select_values(topics: Sequence[Topic]) -> Mapping[Topic, tuple[int, ...]]:
    """Return how far each topic is, for all users. Raises Unavailable and Timeout."""
    run_ids = [name for kind, name in topics if kind == "run"]
    user_ids = [name for kind, name in topics if kind == "changes"]
    values: dict[Topic, tuple[int, ...]] = {}
    with autocommit() as connection:
        if run_ids:
            for run_id, *value in _select.rows(connection, {"run_ids": run_ids}):
                values["run", run_id] = tuple(value)
        if user_ids:
            for user_id, count in _select_changes.rows(connection, {"user_ids": user_ids}):
                values["changes", user_id] = (count,)
    return values
