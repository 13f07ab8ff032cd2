"""Deletes a conversation, and tells everyone for whom it is gone."""

import sqlalchemy as sa

from db import access
from db.change_log import recording
from db.engine import Connection
from db.engine.statement import Statement
from db.execution import turns
from db.models import Id, conversations, new_id, runs
from db.publishing import links
from db.sharing import telling

_id = sa.bindparam("this_id", type_=Id)
_this = [conversations.c.id == _id, access.CONVERSATION]

# The lock keeps others from adding a run or a member between the changes.
_lock = Statement(sa.select(telling.UNSHARED).where(*_this).with_for_update())
_delete = Statement(
    recording.insertion_for_conversation("conversation.deleted", where=_this),
    sa.update(runs).where(runs.c.conversation_id == _id, access.RUN).values(conversation_id=None),
    sa.delete(conversations).where(*_this),
)


def delete(connection: Connection, *, conversation_id: str, user_id: str) -> None:
    """Delete a conversation and its messages. Its runs stay, and those that waited continue.

    It needs a transaction. Raises Missing and Denied.
    """
    values = {"this_id": conversation_id, "acting_user": user_id, "change_id": new_id()}
    is_unshared = _lock.scalar(connection, values)
    if is_unshared is None:
        access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
    if not is_unshared:
        telling.tell_of_deletion(connection, conversation_ids=[conversation_id], owner_id=user_id)
    links.delete_of(connection, [conversation_id], user_id=user_id)
    _delete.rowcount(connection, values)
    recording.announce(connection, user_id)
    turns.continue_unlinked(connection, user_id=user_id)
