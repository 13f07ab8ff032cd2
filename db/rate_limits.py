"""The token bucket of each user: what is left of how many requests may still come."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db.engine.statement import Statement
from db.models import rate_limits

SWEPT_ROWS = 2000


class Limit(NamedTuple):
    """How many tokens a bucket holds, and how many it gets in a second."""

    burst: int
    per_second: float


class Bucket(NamedTuple):
    """A user's bucket after a request: whether that got a token, and what is left."""

    taken: bool
    tokens: float


_c = rate_limits.c
_burst = sa.bindparam("burst", type_=sa.Double)
_per_second = sa.bindparam("per_second", type_=sa.Double)
# All of a statement sees one time, the database's, which all workers have in common. One that
# waited for another's row may have begun before it: then no time has passed, rather than less.
_now = sa.func.statement_timestamp()
_elapsed = sa.func.greatest(sa.extract("epoch", _now - _c.updated_at), 0.0)
_level = sa.func.least(_burst, _c.tokens + _elapsed * _per_second)
_has_token = _level >= 1


_full_but_one = insert(rate_limits).values(
    user_id=sa.bindparam("acting_user"), tokens=_burst - 1, taken=True, updated_at=_now
)
_take = _full_but_one.on_conflict_do_update(
    index_elements=[_c.user_id],
    set_={
        "tokens": sa.case((_has_token, _level - 1), else_=_level),
        "taken": _has_token,
        "updated_at": sa.func.greatest(_now, _c.updated_at),
    },
).returning(_c.taken, _c.tokens)
# A bucket that is full again says what no row says. Rows that somebody is using are passed over.
_full = (
    sa.select(_c.user_id)
    .where(_c.tokens + _elapsed * _per_second >= _burst)
    .limit(SWEPT_ROWS)
    .with_for_update(skip_locked=True)
)
_take_one = Statement(_take)
_sweep = Statement(sa.delete(rate_limits).where(_c.user_id.in_(_full)))


def take(connection: sa.Connection, *, user_id: str, limit: Limit) -> Bucket:
    """Take a token from the user's bucket if it has one; no two requests ever get the same.

    A new user's is full.
    """
    values = {"acting_user": user_id} | limit._asdict()
    return Bucket(*_take_one.row(connection, values))


def delete_full(connection: sa.Connection, *, limit: Limit) -> int:
    """Delete up to SWEPT_ROWS rows of any users whose buckets are full; return how many.

    The one query without an acting user: it works for nobody, and a row says nothing of anybody.
    """
    return _sweep.rowcount(connection, limit._asdict())
