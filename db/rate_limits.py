"""Queries for each user's token bucket, which limits the rate of requests."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db.engine import Connection
from db.engine.statement import Statement
from db.models import rate_limits

MOST_SECONDS_AHEAD = 10
"""How far a bucket's last update can be in the future; statements seldom wait longer."""


ADDRESS = "\x1f"
"""How the buckets of addresses begin, unlike any user's id, which has no control characters."""


class Limit(NamedTuple):
    """A bucket's capacity and the number of tokens added per second."""

    burst: int
    per_second: float


class Bucket(NamedTuple):
    """A bucket after a request: whether the request got a token, and how many are left."""

    taken: bool
    tokens: float


_c = rate_limits.c
# With a cast, because each occurrence of a parameter must have the same type.
_burst = sa.cast(sa.bindparam("burst"), sa.Double)
_per_second = sa.cast(sa.bindparam("per_second"), sa.Double)
# The database's clock, which all workers share.
_now = sa.func.statement_timestamp()


def _age_at(now: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the seconds since the bucket's last update, negative if it is in the future."""
    return sa.extract("epoch", now - _c.updated_at)


def _level_at(now: sa.ColumnElement[Any]) -> sa.ColumnElement[float]:
    # A statement that waited for a row may have started before the row's last update: greatest()
    # then counts zero seconds, not a negative time.
    elapsed = sa.func.greatest(_age_at(now), 0.0)
    return sa.func.least(_burst, _c.tokens + elapsed * _per_second)


_new = insert(rate_limits).values(
    user_id=sa.bindparam("acting_user"), tokens=_burst - 1, taken=True, updated_at=_now
)
_new_time = _new.excluded.updated_at
_level = _level_at(_new_time)
_has_token = _level >= 1
_take = Statement(
    _new.on_conflict_do_update(
        index_elements=[_c.user_id],
        set_={
            "tokens": sa.case((_has_token, _level - 1), else_=_level),
            "taken": _has_token,
            "updated_at": sa.case(
                # The clock was set back: otherwise the bucket would stay empty until then.
                (_age_at(_new_time) < -MOST_SECONDS_AHEAD, _new_time),
                else_=sa.func.greatest(_new_time, _c.updated_at),
            ),
        },
    ).returning(_c.taken, _c.tokens)
)
# A full bucket needs no row, because a missing row means the same. The outer condition is checked
# again after a wait for a request that takes a token.
_is_full = _level_at(_now) >= _burst
_is_of_kind = (sa.func.left(_c.user_id, 1) == ADDRESS) == sa.bindparam(
    "of_addresses", type_=sa.Boolean
)
_full = (
    sa.select(_c.user_id).where(_is_full, _is_of_kind).limit(sa.bindparam("most", type_=sa.Integer))
)
_delete_full = Statement(sa.delete(rate_limits).where(_is_full, _c.user_id.in_(_full)))


def take(connection: Connection, *, user_id: str, limit: Limit) -> Bucket:
    """Take a token from the user's bucket atomically; a new user's bucket is full."""
    values = {"acting_user": user_id} | limit._asdict()
    return Bucket(*_take.row(connection, values))


def delete_full(
    connection: Connection, *, limit: Limit, most: int, of_addresses: bool = False
) -> int:
    """Delete up to `most` rows of full buckets, of all users or addresses; return how many."""
    values = limit._asdict() | {"most": most, "of_addresses": of_addresses}
    return _delete_full.rowcount(connection, values)
