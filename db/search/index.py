"""Keeps the terms of messages, in the transaction that writes the message.

The writer has locked the conversation. Deleting a conversation deletes the terms of its messages.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSVECTOR

from db.engine import Connection, bridge
from db.engine.statement import Statement
from db.models import Id, conversations, message_terms
from db.search import lexemes, words

_c = message_terms.c
TERMS: sa.ColumnElement[Any] = sa.cast(sa.bindparam("new_terms", type_=sa.Text), TSVECTOR)
_this = sa.and_(
    _c.conversation_id == sa.bindparam("of_conversation", type_=Id),
    _c.message_id == sa.bindparam("of_message", type_=Id),
    _c.user_id == sa.bindparam("acting_user", type_=sa.String),
)

_update = Statement(sa.update(message_terms).where(_this).values(terms=TERMS))
_delete = Statement(sa.delete(message_terms).where(_this))

# A later message than one that an older server has stored does not move the position: the messages
# before it are still to be indexed.
AFTER_POST = {
    "indexed_position": sa.case(
        (
            conversations.c.indexed_position == conversations.c.last_position,
            conversations.c.last_position + sa.literal_column("1"),
        ),
        else_=conversations.c.indexed_position,
    )
}
"""What a new message changes in its conversation."""


def insertion(
    *,
    message_id: sa.ColumnElement[Any],
    role: sa.ColumnElement[Any],
    where: Sequence[sa.ColumnElement[bool]],
) -> sa.Insert:
    """Return the statement that adds the terms `new_terms` of the newest message.

    `where` finds its conversation, which is already updated.
    """
    columns = {
        "conversation_id": conversations.c.id,
        "message_id": message_id,
        "user_id": conversations.c.user_id,
        "role": role,
        "created_at": conversations.c.updated_at,
        "terms": TERMS,
    }
    rows = sa.select(*columns.values()).where(*where)
    return sa.insert(message_terms).from_select(list(columns), rows)


def terms(user_id: str, content: str) -> str:
    """Return the value of `new_terms` for a message in a user's conversation."""
    return bridge.off_loop(words.cost(content), lexemes.vector, user_id, content)


def update(
    connection: Connection, *, conversation_id: str, message_id: str, user_id: str, content: str
) -> None:
    """Replace the terms of a message whose content has changed.

    A message that is not indexed yet has none to replace; its new content will be indexed.
    """
    values = _named(conversation_id, message_id, user_id)
    _update.rowcount(connection, values | {"new_terms": terms(user_id, content)})


def delete(connection: Connection, *, conversation_id: str, message_id: str, user_id: str) -> None:
    """Delete the terms of a message, so that no search finds it."""
    _delete.rowcount(connection, _named(conversation_id, message_id, user_id))


def _named(conversation_id: str, message_id: str, user_id: str) -> dict[str, str]:
    return {
        "of_conversation": conversation_id,
        "of_message": message_id,
        "acting_user": user_id,
    }
