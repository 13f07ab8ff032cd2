"""Queries for feedback: what each user thinks of a message.

It is stored in the message, by user id, so lists of messages read no other table. Documents contain
the caller's feedback only (docs/decisions/0025).
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from db import access
from db.change_log import recording
from db.documents import to_json
from db.engine import Connection
from db.engine.statement import Statement
from db.errors import Missing
from db.messages.message_documents import FEEDBACK_OF_READER
from db.models import Id, messages, new_id

_c = messages.c
_EMPTY: sa.ColumnElement[Any] = sa.literal_column("'{}'::jsonb")
_message = sa.bindparam("of_message", type_=Id)
_this = sa.and_(_c.id == _message, access.MESSAGE)
_reader = sa.cast(sa.bindparam("reader"), sa.Text)
_new = sa.cast(sa.bindparam("new_feedback", type_=sa.Text), JSONB)

# The conversation is not locked: its other rows do not depend on feedback.
_lock = Statement(
    sa.select(
        _c.conversation_id,
        FEEDBACK_OF_READER.is_not(None),
        FEEDBACK_OF_READER.element.is_not_distinct_from(_new),
    )
    .where(_this)
    .with_for_update(key_share=True)
)
_update = Statement(
    sa.update(messages)
    .where(_this)
    .values(
        feedback=sa.func.coalesce(_c.feedback, _EMPTY).op("||")(
            sa.cast(sa.bindparam("new_entry", type_=sa.Text), JSONB)
        )
    )
)
_delete = Statement(
    sa.update(messages)
    .where(_this)
    .values(feedback=sa.func.nullif(_c.feedback.op("-")(_reader), _EMPTY))
)
_record = Statement(
    recording.insertion(
        "message.updated",
        conversation_id=sa.bindparam("of_conversation", type_=Id),
        resource_id=_message,
        at=sa.func.statement_timestamp(),
    )
)


def upsert(
    connection: Connection,
    *,
    message_id: str,
    user_id: str,
    caller_id: str,
    feedback: Mapping[str, Any],
) -> bytes:
    """Store the caller's feedback on a message; return its document.

    It needs a transaction. Raises Missing, Denied and Granted.
    """
    document = to_json(feedback)
    entry = to_json({caller_id: feedback})
    values = {
        "of_message": message_id,
        "acting_user": user_id,
        "new_feedback": document.decode(),
        "new_entry": entry.decode(),
    }
    conversation_id, _, is_same = _locked(connection, values)
    if not is_same:
        _update.rowcount(connection, values)
        _tell(connection, caller_id, conversation_id, message_id)
    return document


def delete(connection: Connection, *, message_id: str, user_id: str, caller_id: str) -> None:
    """Delete the caller's feedback on a message.

    It needs a transaction. Raises Missing, Denied and Granted for the message, and Missing without
    feedback.
    """
    values = {"of_message": message_id, "acting_user": user_id, "new_feedback": None}
    conversation_id, exists, _ = _locked(connection, values)
    if not exists:
        raise Missing("feedback")
    _delete.rowcount(connection, values)
    _tell(connection, caller_id, conversation_id, message_id)


def _locked(connection: Connection, values: Mapping[str, Any]) -> tuple[str, bool, bool]:
    """Lock a message. Return its conversation, and whether there is feedback, and the same."""
    row = _lock.row(connection, values)
    if row is None:
        access.refuse(
            connection,
            "message",
            row_id=values["of_message"],
            user_id=values["acting_user"],
            allows=access.RATE,
        )
    conversation_id, exists, is_same = row
    return conversation_id, exists, is_same


def _tell(connection: Connection, caller_id: str, conversation_id: str, message_id: str) -> None:
    """Record the change in the caller's log only: nobody else sees it."""
    values = {"acting_user": caller_id, "of_conversation": conversation_id}
    _record.rowcount(connection, values | {"of_message": message_id, "change_id": new_id()})
    recording.announce(connection, caller_id)
