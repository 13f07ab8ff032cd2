"""Sends the statements of messages, their attachments and their feedback."""

from contextlib import suppress
from typing import Any

from db import errors, feedback
from db.attachments import chat_attachments
from db.engine import Connection
from db.messages import message_edits, message_versions, messages
from tests.db.rows import insert_attachment, insert_message, message


def edit_message(connection: Connection, user: str, conversation_id: str) -> None:
    message_id = insert_message(connection, conversation_id, user)
    this: dict[str, Any] = {"message_id": message_id, "user_id": user}
    for name, new in (("content", "C"), ("metadata", {})):
        message_edits.update(connection, **this, changes={name: new})
    message_versions.select_page(connection, **this, limit=2, after=[1])


def add_attachments(connection: Connection, user: str, conversation_id: str) -> None:
    """Give an attachment to one message, in vain to another, and delete it."""
    attachment_id = insert_attachment(connection, user)
    new = message(conversation_id, user, attachment_ids=[attachment_id])
    messages.insert(connection, **new)
    with suppress(errors.Invalid):
        messages.insert(connection, **new)
    chat_attachments.delete(connection, attachment_id=attachment_id, user_id=user)


def rate(connection: Connection, user: str, message_id: str) -> None:
    this = {"message_id": message_id, "user_id": user, "caller_id": user}
    feedback.upsert(connection, **this, feedback={"rating": "up", "tags": [], "comment": None})
    feedback.delete(connection, **this)
