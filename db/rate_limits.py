"""Queries for each user's token bucket, which limits the rate of requests."""

from datetime import timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db.engine.statement import Statement
from db.models import rate_limits

SWEEP_ROWS = 2000
MOST_AHEAD = timedelta(seconds=10)
"""How far a bucket's last update can be in the future; statements seldom wait longer."""


class Limit(NamedTuple):
    """A bucket's capacity and the number of tokens added per second."""

    burst: int
    per_second: float


class Bucket(NamedTuple):
    """A bucket after a request: whether the request got a token, and how many are left."""

    taken: bool
    tokens: float


_c = rate_limits.c
_burst = sa.bindparam("burst", type_=sa.Double)
_per_second = sa.bindparam("per_second", type_=sa.Double)
# The database's clock, which all workers share. A statement that waited for a row may have started
# before the row's last update: greatest() then counts zero seconds, not a negative time.
_now = sa.func.statement_timestamp()
_elapsed = sa.func.greatest(sa.extract("epoch", _now - _c.updated_at), 0.0)
_level = sa.func.least(_burst, _c.tokens + _elapsed * _per_second)
_has_token = _level >= 1


_new_bucket = insert(rate_limits).values(
    user_id=sa.bindparam("acting_user"), tokens=_burst - 1, taken=True, updated_at=_now
)
_take = _new_bucket.on_conflict_do_update(
    index_elements=[_c.user_id],
    set_={
        "tokens": sa.case((_has_token, _level - 1), else_=_level),
        "taken": _has_token,
        # Without least(), a clock that is set back by a day would stop the bucket for a day.
        "updated_at": sa.func.least(sa.func.greatest(_now, _c.updated_at), _now + MOST_AHEAD),
    },
).returning(_c.taken, _c.tokens)
# A full bucket needs no row, because a missing row means the same. Locked rows are skipped.
_full = (
    sa.select(_c.user_id)
    .where(_c.tokens + _elapsed * _per_second >= _burst)
    .limit(SWEEP_ROWS)
    .with_for_update(skip_locked=True)
)
_take_one = Statement(_take)
_sweep = Statement(sa.delete(rate_limits).where(_c.user_id.in_(_full)))


def take(connection: sa.Connection, *, user_id: str, limit: Limit) -> Bucket:
    """Take a token from the user's bucket atomically; a new user's bucket is full."""
    values = {"acting_user": user_id} | limit._asdict()
    return Bucket(*_take_one.row(connection, values))


def delete_full(connection: sa.Connection, *, limit: Limit) -> int:
    """Delete up to SWEEP_ROWS rows of full buckets, of all users; return how many.

    This is the only query without an acting user: it is maintenance, and rows hold no user data.
    """
    return _sweep.rowcount(connection, limit._asdict())
