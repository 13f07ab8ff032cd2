"""Changes what a member sees of a shared conversation: archived, pinned, tags, unread messages.

The statements have the role of members, like the whole request, and act as the member. Only the
member's own log has the change.
"""

import functools
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from db.change_log import recording
from db.documents import MemberView
from db.engine import Connection, current_membership
from db.engine.statement import Statement
from db.errors import Denied
from db.models import Id, memberships, new_id
from db.organising import tags
from db.organising.listed import SHARED

_c = memberships.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_this = [_c.conversation_id == _conversation, SHARED.of_user]
_reached = sa.bindparam("reached", type_=sa.BigInteger)
_count = sa.bindparam("count", type_=sa.BigInteger)

_columns = [_c[name] for name in MemberView._fields]
_select_one = Statement(sa.select(*_columns).where(*_this))
_lock_this = sa.select(_c.conversation_id).where(*_this).with_for_update(key_share=True)
_lock = Statement(_lock_this)


def _record(*conditions: sa.ColumnElement[bool]) -> sa.Insert:
    return recording.insertion_for(
        "conversation.updated",
        memberships,
        where=[*_this, *conditions],
        at=recording.time_after(SHARED.latest),
        conversation_id=_c.conversation_id,
        resource_id=_c.conversation_id,
    )


@functools.cache
def _update(changed: frozenset[str]) -> Statement:
    values = {name: sa.bindparam(f"new_{name}", type_=_c[name].type) for name in sorted(changed)}
    update = sa.update(memberships).where(*_this).values(values)
    storing = tags.storing(SHARED, *_this) if "tags" in changed else []
    return Statement(_lock_this, _record(), update, *storing)


_mark = Statement(
    _record(_c.unread_count > _count),
    sa.update(memberships)
    .where(*_this)
    .values(
        read_position=sa.func.greatest(_c.read_position, _reached),
        unread_count=sa.func.least(_c.unread_count, _count),
    )
    .returning(*_columns),
)


def _member() -> dict[str, str]:
    """Return the parameters for the conversation and the member of the grant."""
    grant = current_membership()
    assert grant is not None
    return {"of_conversation": grant.conversation_id, "acting_user": grant.member_id}


def select(connection: Connection) -> MemberView | None:
    """Return what the member of the grant sees; None for former members."""
    row = _select_one.row(connection, _member())
    return None if row is None else MemberView(*row)


def lock(connection: Connection) -> None:
    """Lock the membership until the transaction ends. Raises Denied for former members."""
    if _lock.row(connection, _member()) is None:
        raise Denied("conversation")


def update(connection: Connection, *, changes: Mapping[str, Any]) -> None:
    """Change archived, pinned or tags."""
    values: dict[str, Any] = _member() | {"change_id": new_id()}
    values |= {f"new_{name}": value for name, value in changes.items()}
    _update(frozenset(changes)).rowcount(connection, values)
    recording.announce(connection, values["acting_user"])


def mark(connection: Connection, *, reached: int, count: int) -> MemberView:
    """Mark the messages up to a position as read; return what the member sees.

    `count` others follow it. The membership must have been locked before they were counted. Then
    none is missing or counted twice: a writer adds its message after the lock has ended.
    """
    values: dict[str, Any] = _member() | {"change_id": new_id()}
    values |= {"reached": reached, "count": count}
    view = MemberView(*_mark.row(connection, values))
    recording.announce(connection, values["acting_user"])
    return view
