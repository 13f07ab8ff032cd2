"""Reads how far the topics are that the streams of a process wait for."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from db.engine import autocommit, roles
from db.engine.statement import Statement
from db.engine.unit_of_work import Topic
from db.models import Id, runs
from db.run_events import ACTIVE

_ids = sa.bindparam("run_ids", type_=sa.ARRAY(Id))
# By the first column of the primary key: the owners would have to be known to name them.
_select = Statement(
    sa.select(
        runs.c.id, runs.c.last_sequence, sa.cast(runs.c.status.not_in(ACTIVE), sa.Integer)
    ).where(runs.c.id == sa.func.any(sa.cast(_ids, sa.ARRAY(Id)))),
    role=roles.EXISTENCE,
)


def select_values(topics: Sequence[Topic]) -> Mapping[Topic, tuple[int, ...]]:
    """Return how far each topic is, for all users. Raises Unavailable and Timeout."""
    run_ids = [name for kind, name in topics if kind == "run"]
    with autocommit() as connection:
        rows = _select.rows(connection, {"run_ids": run_ids})
    return {("run", run_id): (sequence, ended) for run_id, sequence, ended in rows}
