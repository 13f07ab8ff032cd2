"""Adds the conversations of conversations.yaml to a user's account.

Some are shared with a colleague, or belong to the colleague, who shares them with the user.
"""

from importlib.resources import files
from typing import Any

import yaml

from agent_api.http.links import hash_of, new_secret
from db import feedback, runs
from db.attachments import chat_attachments
from db.conversations import conversations
from db.engine import Connection, transaction
from db.messages import message_edits, messages
from db.organising import reading
from db.publishing import links
from db.sharing import shares

_ORGANISED = ("archived", "pinned", "tags")


def fill(user_id: str) -> tuple[int, int, int]:
    """Add the demo data in one transaction.

    Returns the number of new conversations, messages and runs.
    """
    demo: list[dict[str, Any]] = yaml.safe_load(
        files("agent_api.demo").joinpath("conversations.yaml").read_text("utf-8")
    )
    message_count = run_count = 0
    users = {"user": user_id, "colleague": f"colleague-of-{user_id}"[:255]}
    with transaction() as connection:
        for entry in demo:
            owner = users[entry.get("owner", "user")]
            conversation_id, _ = conversations.insert(
                connection,
                user_id=owner,
                title=entry["title"],
                source=entry.get("source", "web"),
                model=entry.get("model"),
                agent_id=entry.get("agent_id"),
                is_private=entry.get("is_private", False),
                metadata=entry.get("metadata"),
            )
            last_id = None
            for message in entry["messages"]:
                run_count += "run" in message
                message_count += 1
                last_id = _add_message(connection, owner, conversation_id, message, last_id)
                if "feedback" in message:
                    feedback.upsert(
                        connection,
                        message_id=last_id,
                        user_id=owner,
                        caller_id=owner,
                        feedback=message["feedback"],
                    )
            _organise(connection, owner, conversation_id, entry)
            if entry.get("link"):
                links.insert(
                    connection,
                    conversation_id=conversation_id,
                    user_id=owner,
                    secret_hash=hash_of(new_secret()),
                    with_attachments=False,
                    expires_at=None,
                )
            for member, role in entry.get("shared_with", {}).items():
                shares.upsert(
                    connection,
                    conversation_id=conversation_id,
                    user_id=owner,
                    member_id=users[member],
                    role=role,
                )
    return len(demo), message_count, run_count


def _organise(
    connection: Connection, user_id: str, conversation_id: str, entry: dict[str, Any]
) -> None:
    conversations.update(
        connection,
        conversation_id=conversation_id,
        user_id=user_id,
        changes={name: entry[name] for name in _ORGANISED if name in entry},
    )
    if not entry.get("unread"):
        reading.update(connection, conversation_id=conversation_id, user_id=user_id)


def _add_message(
    connection: Connection,
    user_id: str,
    conversation_id: str,
    message: dict[str, Any],
    last_id: str | None,
) -> str:
    """Add a message, or another version of the last one; return its id."""
    run_id = None
    if "run" in message:
        run_id = _add_run(connection, user_id, conversation_id, message["run"])
    files = [
        chat_attachments.insert(connection, user_id=user_id, **file)
        for file in message.get("chat_attachments", ())
    ]
    message_id, _ = messages.insert(
        connection,
        conversation_id=conversation_id,
        user_id=user_id,
        role=message["role"],
        content=message["content"],
        parts=message.get("parts"),
        attachments=message.get("attachments"),
        attachment_ids=[attachment_id for attachment_id, _ in files],
        metadata=message.get("metadata"),
        run_id=run_id,
        routing_decision=message.get("routing_decision"),
        tool_calls=message.get("tool_calls"),
        sibling_of=last_id if message.get("another_version") else None,
    )
    if "edited" in message:
        message_edits.update(
            connection, message_id=message_id, user_id=user_id, changes=message["edited"]
        )
    return message_id


def _add_run(
    connection: Connection, user_id: str, conversation_id: str, run: dict[str, Any]
) -> str:
    run_id, _ = runs.insert(
        connection,
        user_id=user_id,
        agent_id=run["agent_id"],
        conversation_id=conversation_id,
        status="running",
        input=run.get("input"),
    )
    outcome: dict[str, Any] = {
        name: run[name] for name in ("status", "output", "error") if name in run
    }
    runs.update(connection, run_id=run_id, user_id=user_id, changes=outcome)
    return run_id
