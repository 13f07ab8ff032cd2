"""Queries of a row that is missing or belongs to another user."""

from collections.abc import Callable

from db import runs
from db.attachments import chat_attachments
from db.branches import activation, deletion, forks
from db.conversations import conversation_deletion, conversations
from db.engine import Connection
from db.messages import message_edits, message_versions, messages
from db.organising import reading
from tests.db.rows import ABSENT_ID, message

REFUSED: dict[str, tuple[str, Callable[[Connection, str, dict[str, str]], object]]] = {
    "read_conversation": (
        "conversation",
        lambda c, u, i: conversations.select_with_messages(
            c, conversation_id=i["conversation"], user_id=u, limit=1
        ),
    ),
    "change_conversation": (
        "conversation",
        lambda c, u, i: conversations.update(
            c, conversation_id=i["conversation"], user_id=u, changes={"title": "T"}
        ),
    ),
    "delete_conversation": (
        "conversation",
        lambda c, u, i: conversation_deletion.delete(
            c, conversation_id=i["conversation"], user_id=u
        ),
    ),
    "list_messages": (
        "conversation",
        lambda c, u, i: messages.select_page(
            c, conversation_id=i["conversation"], user_id=u, limit=2
        ),
    ),
    "add_message": (
        "conversation",
        lambda c, u, i: messages.insert(c, **message(i["conversation"], u)),
    ),
    "add_message_of_a_run": (
        "conversation",
        lambda c, u, i: messages.insert(c, **message(i["conversation"], u, run_id=ABSENT_ID)),
    ),
    "add_branch": (
        "conversation",
        lambda c, u, i: messages.insert(c, **message(i["conversation"], u, parent_id=ABSENT_ID)),
    ),
    "activate_branch": (
        "conversation",
        lambda c, u, i: activation.activate(
            c, conversation_id=i["conversation"], user_id=u, message_id=ABSENT_ID
        ),
    ),
    "copy_conversation": (
        "conversation",
        lambda c, u, i: forks.insert(c, conversation_id=i["conversation"], user_id=u),
    ),
    "delete_message": (
        "message",
        lambda c, u, i: deletion.delete(c, message_id=i["message"], user_id=u),
    ),
    "mark_as_read": (
        "conversation",
        lambda c, u, i: reading.update(c, conversation_id=i["conversation"], user_id=u),
    ),
    "read_message": (
        "message",
        lambda c, u, i: messages.select_one(c, message_id=i["message"], user_id=u),
    ),
    "change_message": (
        "message",
        lambda c, u, i: message_edits.update(
            c, message_id=i["message"], user_id=u, changes={"content": "C"}
        ),
    ),
    "list_versions": (
        "message",
        lambda c, u, i: message_versions.select_page(
            c, message_id=i["message"], user_id=u, limit=2
        ),
    ),
    "read_attachment": (
        "attachment",
        lambda c, u, i: chat_attachments.select_one(c, attachment_id=i["attachment"], user_id=u),
    ),
    "delete_attachment": (
        "attachment",
        lambda c, u, i: chat_attachments.delete(c, attachment_id=i["attachment"], user_id=u),
    ),
    "add_message_with_an_attachment": (
        "conversation",
        lambda c, u, i: messages.insert(
            c, **message(i["conversation"], u, attachment_ids=[i["attachment"]])
        ),
    ),
    "read_run": ("run", lambda c, u, i: runs.select_one(c, run_id=i["run"], user_id=u)),
    "change_status": (
        "run",
        lambda c, u, i: runs.update(c, run_id=i["run"], user_id=u, changes={"status": "running"}),
    ),
}
