"""What each write of a conversation adds to the log."""

import uuid
from collections.abc import Callable
from typing import Any

import httpx

from tests.calls import change, create, new_conversation, post_message
from tests.change_log.sending import conversation_of
from tests.contract import Rows

Write = Callable[[httpx.Client, Rows], Any]
Expected = list[tuple[str, str, str]]
"""Types of changes, and the names of the ids that they have."""

CONVERSATION_WRITES: dict[str, tuple[Write, Expected]] = {
    "create_conversation": (
        lambda client, rows: new_conversation(client),
        [("conversation.created", "new", "new")],
    ),
    "update_conversation": (
        lambda client, rows: change(client, conversation_of(rows), title="Another"),
        [("conversation.updated", "conversation_id", "conversation_id")],
    ),
    "update_conversation with the same title": (
        lambda client, rows: [
            change(client, conversation_of(rows), title="Another") for _ in range(2)
        ],
        [("conversation.updated", "conversation_id", "conversation_id")] * 2,
    ),
    "update_conversation with nothing": (
        lambda client, rows: change(client, conversation_of(rows)),
        [],
    ),
    "update_conversation with tags": (
        lambda client, rows: change(client, conversation_of(rows), tags=["a", "b"], pinned=True),
        [("conversation.updated", "conversation_id", "conversation_id")],
    ),
    "mark_conversation_read": (
        lambda client, rows: [
            post_message(client, {"id": rows["conversation_id"]}, "Hello", role="assistant")
            and client.put(f"{conversation_of(rows)}/read")
            for _ in range(2)
        ],
        [
            ("message.created", "conversation_id", "any"),
            ("conversation.updated", "conversation_id", "conversation_id"),
        ]
        * 2,
    ),
    "mark_conversation_read without unread messages": (
        lambda client, rows: client.put(f"{conversation_of(rows)}/read"),
        [],
    ),
    "bulk_update_conversations": (
        lambda client, rows: client.post(
            "/conversations/bulk", json={"ids": [rows["conversation_id"]] * 2, "action": "pin"}
        ),
        [("conversation.updated", "conversation_id", "conversation_id")],
    ),
    "bulk_update_conversations that deletes": (
        lambda client, rows: client.post(
            "/conversations/bulk", json={"ids": [rows["conversation_id"]], "action": "delete"}
        ),
        [("conversation.deleted", "conversation_id", "conversation_id")],
    ),
    "bulk_update_conversations with an unknown id": (
        lambda client, rows: client.post(
            "/conversations/bulk", json={"ids": [str(uuid.uuid4())], "action": "pin"}
        ),
        [],
    ),
    "activate_message": (
        lambda client, rows: [
            post_message(
                client, {"id": rows["conversation_id"]}, "Hello", sibling_of=rows["message_id"]
            )
            and client.put(
                f"{conversation_of(rows)}/active-message", json={"message_id": rows["message_id"]}
            )
            for _ in range(1)
        ],
        [
            ("conversation.branch_activated", "conversation_id", "conversation_id"),
            ("message.created", "conversation_id", "any"),
            ("conversation.branch_activated", "conversation_id", "conversation_id"),
        ],
    ),
    "activate_message of the active branch": (
        lambda client, rows: client.put(
            f"{conversation_of(rows)}/active-message", json={"message_id": rows["message_id"]}
        ),
        [],
    ),
    "fork_conversation": (
        lambda client, rows: create(client, f"{conversation_of(rows)}/fork"),
        [("conversation.created", "new", "new")],
    ),
    "delete_conversation": (
        lambda client, rows: client.delete(conversation_of(rows)),
        [("conversation.deleted", "conversation_id", "conversation_id")],
    ),
}
