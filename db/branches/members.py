"""Tells members of a shared conversation about its active path, and counts their unread messages.

Each statement acts as the member, with the role of the transaction.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from db.branches import unread
from db.change_log import recording
from db.engine import Connection
from db.engine.statement import Statement
from db.models import Id, memberships, new_id
from db.organising.listed import SHARED

_c = memberships.c
_this = sa.and_(
    _c.conversation_id == sa.bindparam("of_conversation", type_=Id),
    _c.user_id == sa.bindparam("acting_user", type_=sa.String),
)
# Members mark messages as read without the lock of the conversation.
_lock = Statement(
    sa.select(_c.read_position, _c.unread_count).where(_this).with_for_update(key_share=True)
)


@functools.cache
def _update(change: str) -> Statement:
    resource: sa.ColumnElement[Any] = _c.conversation_id
    if change.startswith("message."):
        resource = sa.bindparam("of_message", type_=Id)
    record = recording.insertion_for(
        change,
        memberships,
        where=[_this],
        at=recording.time_after(SHARED.latest),
        conversation_id=_c.conversation_id,
        resource_id=resource,
    )
    values = {
        name: sa.bindparam(f"new_{name}", type_=_c[name].type)
        for name in ("read_position", "unread_count")
    }
    return Statement(record, sa.update(memberships).where(_this).values(values))


def tell(
    connection: Connection,
    members: Sequence[str],
    values: Mapping[str, Any],
    change: str,
    *,
    before: Sequence[int],
    after: Sequence[int],
) -> None:
    """Record a change in the logs of members, and store what is unread for each on the new path.

    `values` name the conversation, and the message if the change is about one.
    """
    updates = []
    for member_id in members:
        this = {**values, "acting_user": member_id}
        read_position, unread_count = _lock.row(connection, this)
        read_position, unread_count = unread.count(
            read_position=read_position, unread_count=unread_count, before=before, after=after
        )
        updates.append(
            {
                **this,
                "change_id": new_id(),
                "new_read_position": read_position,
                "new_unread_count": unread_count,
            }
        )
    _update(change).execute_each(connection, updates)
    for member_id in members:
        recording.announce(connection, member_id)
