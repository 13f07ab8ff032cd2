"""Deletes a message. Its replies become replies to its parent."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from db import access
from db.branches import agents_left, paths, rows
from db.engine import Connection
from db.engine.statement import Statement
from db.messages.message_documents import MESSAGE
from db.models import Id, chat_attachments, messages
from db.search import index

_c = messages.c
_id = sa.bindparam("of_message", type_=Id)
_this = sa.and_(_c.id == _id, access.MESSAGE)
_select_conversation = Statement(sa.select(_c.conversation_id).where(_this))
_select_one = Statement(sa.select(*MESSAGE.columns).where(_this))
_delete = Statement(
    sa.delete(chat_attachments).where(
        chat_attachments.c.conversation_id == sa.bindparam("of_conversation", type_=Id),
        chat_attachments.c.message_id == _id,
        access.ATTACHMENT,
    ),
    sa.delete(messages).where(_this),
)


def lock(connection: Connection, *, message_id: str, user_id: str) -> bytes:
    """Lock the conversation of a message until the transaction ends; return the message's document.

    Raises Missing and Denied.
    """
    values = _of_message(connection, message_id, user_id)
    paths.lock(connection, values, allows=None)
    row = _select_one.row(connection, values)
    if row is None:
        access.refuse(connection, "message", row_id=message_id, user_id=user_id)
    return MESSAGE.write(row)


def delete(connection: Connection, *, message_id: str, user_id: str) -> None:
    """Delete a message with its versions, terms and attachments, and tell everyone.

    It needs a transaction. Raises Missing and Denied.
    """
    values = _of_message(connection, message_id, user_id)
    locked = paths.lock(connection, values, allows=None)
    place = rows.select_place(connection, values, message_id)
    if place is None:
        access.refuse(connection, "message", row_id=message_id, user_id=user_id)
    tree = rows.select_tree(connection, values, around=place.parent_id)
    before = tree.path()
    tree.remove(tree[place.id])
    rows.store(connection, values, tree.changed())
    index.delete(
        connection,
        conversation_id=values["of_conversation"],
        message_id=message_id,
        user_id=user_id,
    )
    agents_left.forget(connection, values)
    _delete.rowcount(connection, values)
    paths.update(
        connection,
        values,
        locked,
        change=paths.MESSAGE_DELETED,
        before=before,
        after=tree.path(),
    )


def _of_message(connection: Connection, message_id: str, user_id: str) -> Mapping[str, Any]:
    """Return the values that name a message and its conversation. Raises Missing and Denied."""
    values = {"of_message": message_id, "acting_user": user_id}
    conversation_id = _select_conversation.scalar(connection, values)
    if conversation_id is None:
        access.refuse(connection, "message", row_id=message_id, user_id=user_id)
    return {**values, "of_conversation": conversation_id}
