"""Queries for the numbers of a user's changes: assigning them, and deleting old changes.

Numbers follow commits: a change gets its number when the log is read and the change is visible, so
one that is committed later has a higher number (docs/decisions/0018). Both queries lock the user's
position, so that numbers have no gaps except where changes were deleted.
"""

import uuid
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db.engine import Connection, roles
from db.engine.statement import Statement
from db.models import Id, change_positions, changes

NUMBERED_AT_ONCE = 5000

_c = changes.c
_p = change_positions.c
_user = sa.bindparam("acting_user", type_=sa.String)
_own = _c.user_id == _user
_own_position = _p.user_id == _user
_is_old = _c.id < sa.bindparam("first_kept", type_=Id)
_most = sa.bindparam("most", type_=sa.Integer)

_select_one = Statement(
    sa.select(
        sa.select(_p.last_sequence).where(_own_position).scalar_subquery(),
        sa.exists().where(_own, _c.sequence.is_(None)),
    )
)
_lock = (
    insert(change_positions)
    .values(user_id=_user)
    .on_conflict_do_nothing(index_elements=[_p.user_id]),
    sa.select(_p.last_sequence).where(_own_position).with_for_update(),
)


def _number_oldest() -> Statement:
    """Return the statement that numbers the oldest changes without a number.

    It locks the position first, so that the UPDATE sees what the lock's previous holder committed.
    """
    order = (_c.created_at, _c.id)
    oldest = (
        sa.select(_c.id, sa.func.row_number().over(order_by=order).label("number"))
        .where(_own, _c.sequence.is_(None))
        .order_by(*order)
        .limit(sa.literal_column(str(NUMBERED_AT_ONCE)))
        .subquery("oldest")
    )
    last = sa.select(sa.func.max(_c.sequence)).where(_own, _c.sequence.is_not(None))
    return Statement(
        *_lock,
        sa.update(changes)
        .where(_own, _c.id == oldest.c.id, _own_position)
        .values(sequence=_p.last_sequence + oldest.c.number),
        # greatest() ignores null, the maximum of no rows.
        sa.update(change_positions)
        .where(_own_position)
        .values(last_sequence=sa.func.greatest(_p.last_sequence, last.scalar_subquery())),
    )


_number = _number_oldest()
_select_old = Statement(
    sa.select(_c.user_id).where(_is_old).order_by(_c.id).limit(_most), role=roles.EXISTENCE
)
_lock_one = Statement(*_lock)
_delete_old = Statement(
    sa.delete(changes)
    .where(_own, _c.id.in_(sa.select(_c.id).where(_own, _is_old).order_by(_c.id).limit(_most)))
    .returning(_c.sequence)
)
_skip = Statement(
    sa.update(change_positions)
    .where(_own_position)
    .values(last_sequence=_p.last_sequence + sa.bindparam("skipped", type_=sa.BigInteger))
)


def number_all(connection: Connection, *, user_id: str) -> int:
    """Number all of the user's changes that are committed; return the highest number."""
    values = {"acting_user": user_id}
    last, has_more = _select_one.row(connection, values)
    while has_more:
        _number.rowcount(connection, values)
        last, has_more = _select_one.row(connection, values)
    return last or 0


def select_owners_of_old(connection: Connection, *, before: datetime, most: int) -> list[str]:
    """Return the owners of up to `most` changes made before a time: each once for each change."""
    values = {"first_kept": _first_id_of(before), "most": most}
    return [user_id for (user_id,) in _select_old.rows(connection, values)]


def delete_old(connection: Connection, *, user_id: str, before: datetime, most: int) -> None:
    """Delete up to `most` of the user's changes made before a time. Needs a transaction.

    Changes without a number use up numbers, so that readers notice that they have missed them.
    """
    values = {"acting_user": user_id, "first_kept": _first_id_of(before), "most": most}
    _lock_one.row(connection, values)
    skipped = sum(number is None for (number,) in _delete_old.rows(connection, values))
    if skipped:
        _skip.rowcount(connection, values | {"skipped": skipped})


def _first_id_of(moment: datetime) -> str:
    """Return the lowest UUIDv7 of a time (RFC 9562, section 5.7)."""
    return str(uuid.UUID(int=int(moment.timestamp() * 1000) << 80))
