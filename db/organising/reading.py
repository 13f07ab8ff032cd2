"""Keeps how far a user has read a conversation, and how many messages follow.

A message that the user posts with the role user marks the conversation as read; every other one is
unread.
"""

from typing import Any

import sqlalchemy as sa

from db import access, engine
from db.change_log import recording
from db.conversations.conversations import select_one as select_conversation
from db.documents import CONVERSATION
from db.engine import Connection, current_grant, current_membership
from db.engine.statement import Statement
from db.errors import Denied, Invalid
from db.models import Id, conversations, messages, new_id
from db.organising import own_view

_c = conversations.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_this = sa.and_(_c.id == _conversation, access.CONVERSATION)
_messages = sa.and_(messages.c.conversation_id == _conversation, access.MESSAGE)
_shown = sa.and_(_messages, messages.c.active)
_position = sa.bindparam("position", type_=sa.BigInteger)
_LAST = 2**63 - 1

# SQLAlchemy would make a parameter of a number, and each parameter costs PostgreSQL time.
ONE: sa.ColumnElement[int] = sa.literal_column("1")
_is_read = sa.bindparam("is_read", type_=sa.Boolean)
AFTER_POST: dict[str, sa.ColumnElement[Any]] = {
    "read_position": sa.case((_is_read, _c.last_position + ONE), else_=_c.read_position),
    "unread_count": sa.case((_is_read, sa.literal_column("0")), else_=_c.unread_count + ONE),
}
"""The columns of a conversation after a message is posted, by the parameter `is_read`."""


def is_read(role: str) -> bool:
    """Tell whether a new message is one that the user has written, not a worker for them."""
    return role == "user" and current_grant() is None


def _mark() -> Statement:
    """Return the statements that mark the messages up to a position as read.

    A device that shows an older state does not make messages unread again. Messages from before
    unread ones were counted stay read.
    """
    reached = sa.func.greatest(_c.read_position, sa.func.least(_position, _c.last_position))
    following = sa.select(sa.func.count()).where(_shown, messages.c.position > reached)
    count = following.scalar_subquery().correlate(conversations)
    lock = sa.select(_c.id).where(_this).with_for_update(key_share=True)
    record = recording.insertion_for_conversation(
        "conversation.updated", where=[_this, _c.unread_count > 0, _c.read_position < reached]
    )
    update = sa.update(conversations).where(_this)
    update = update.values(
        read_position=reached, unread_count=sa.func.least(_c.unread_count, count)
    )
    return Statement(lock, record, update.returning(*CONVERSATION.columns))


_update = _mark()
_reached = sa.func.least(_position, _c.last_position)
_select_following = Statement(
    sa.select(
        *CONVERSATION.columns,
        _reached,
        sa.select(sa.func.count()).where(_shown, messages.c.position > _position).scalar_subquery(),
    ).where(_this)
)
_select_position = Statement(
    sa.select(messages.c.position).where(
        messages.c.id == sa.bindparam("this_id", type_=Id), _messages
    )
)


def update(
    connection: Connection,
    *,
    conversation_id: str,
    user_id: str,
    position: int | None = None,
    message_id: str | None = None,
) -> bytes:
    """Mark the messages up to one as read; return the conversation's document.

    Without a position and a message, mark all of them. Raises Missing and Denied for the
    conversation, Invalid for a message of another one, and Granted for members.
    """
    values: dict[str, Any] = {"of_conversation": conversation_id, "acting_user": user_id}
    if message_id is not None:
        position = _select_position.scalar(connection, values | {"this_id": message_id})
        if position is None:
            # Raises unless the user may know that the conversation exists.
            select_conversation(connection, conversation_id=conversation_id, user_id=user_id)
            raise Invalid("message_id", "does not refer to a message of this conversation")
    values["position"] = _LAST if position is None else position
    if current_membership() is not None:
        return _update_of_member(connection, values)
    row = _update.row(connection, values | {"change_id": new_id()})
    if row is None:
        access.refuse(
            connection,
            "conversation",
            row_id=conversation_id,
            user_id=user_id,
            allows=access.READ,
        )
    recording.announce(connection, user_id)
    return CONVERSATION.write(row)


def _update_of_member(connection: Connection, values: dict[str, Any]) -> bytes:
    """Mark messages as read for the member of the grant, whose messages are on the owner's node."""
    with engine.joined(connection):
        own_view.lock(connection)
        row = _select_following.row(connection, values)
        if row is None:
            raise Denied("conversation")
        *conversation, reached, count = row
        view = own_view.mark(connection, reached=reached, count=count)
    return CONVERSATION.write((*conversation, view))
