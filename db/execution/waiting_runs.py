"""Lets runs continue that wait for no other run.

The end of a run lets the next one of its conversation continue. A server of 1.0 does not know that,
so a run that waits for one that such a server has ended would wait forever.
"""

from typing import NamedTuple

import sqlalchemy as sa

from db.engine import Connection, roles, transaction
from db.engine.statement import Statement
from db.errors import Failure, Refused
from db.execution import turns
from db.execution.attempts import raise_first, try_each
from db.models import Id, runs

BATCH_ROWS = 1000
LOCK = 7236251904476921440
"""An arbitrary number that no other program uses for its advisory locks."""
_FIRST = ("", "00000000-0000-0000-0000-000000000000")

_c = runs.c
_earlier = runs.alias("earlier")
_try_lock = Statement(
    sa.select(sa.func.pg_try_advisory_xact_lock(sa.literal_column(str(LOCK)))),
    role=roles.EXISTENCE,
)
_waits_for_another = sa.exists(_earlier.c.id).where(
    _earlier.c.conversation_id == _c.conversation_id,
    _earlier.c.created_by == _c.created_by,
    sa.text("earlier.status IN ('pending', 'running')"),
    sa.tuple_(_earlier.c.created_at, _earlier.c.id) < sa.tuple_(_c.created_at, _c.id),
)
_select_waiting = Statement(
    sa.select(_c.created_by, _c.id, _c.conversation_id, _waits_for_another)
    .where(
        _c.waits,
        sa.tuple_(_c.created_by, _c.id)
        > sa.tuple_(sa.bindparam("after_user", type_=sa.String), sa.bindparam("after", type_=Id)),
    )
    .order_by(_c.created_by, _c.id)
    .limit(sa.bindparam("most", type_=sa.Integer)),
    role=roles.EXISTENCE,
)


class _Stuck(NamedTuple):
    user_id: str
    conversation_id: str | None
    """None if it was deleted."""


def run(*, most: int = BATCH_ROWS) -> None:
    """Let the runs of all users continue that wait for no other run.

    `most` waiting runs are read at a time. Do nothing if another session looks for them. If some
    cannot continue, raises the first Failure or Refused after it has tried all.
    """
    failed: dict[_Stuck, Failure | Refused] = {}
    last, found = _FIRST, most
    while found == most:
        with transaction() as connection:
            if not _try_lock.scalar(connection, {}):
                break
            values = dict(zip(("after_user", "after"), last, strict=True))
            waiting = _select_waiting.rows(connection, values | {"most": most})
        stuck = {
            _Stuck(user, conversation) for user, _, conversation, waits in waiting if not waits
        }
        failed |= try_each(stuck, _continue)
        found = len(waiting)
        last = waiting[-1][:2] if waiting else last
    raise_first(failed)


def _continue(connection: Connection, stuck: _Stuck) -> None:
    user_id, conversation_id = stuck
    if conversation_id is None:
        turns.continue_unlinked(connection, user_id=user_id)
    elif turns.lock_conversation(connection, conversation_id=conversation_id, user_id=user_id):
        turns.continue_conversation(connection, conversation_id=conversation_id, user_id=user_id)
