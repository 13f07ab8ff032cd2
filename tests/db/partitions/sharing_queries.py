"""Sends the statements of links, of shared conversations and of their members."""

import json
from contextlib import suppress
from typing import Any

from db import access, engine, errors, runs
from db.change_log import changes
from db.conversations import conversation_deletion, conversation_lists, conversations
from db.engine import Connection, MemberGrant, acting_under
from db.messages import message_edits, messages
from db.organising import reading as marking
from db.publishing import links, published
from db.sharing import shares
from tests.db.partitions.message_queries import add_attachments
from tests.db.rows import (
    ABSENT_ID,
    insert_attachment,
    insert_conversation,
    insert_message,
    insert_run,
    link,
    message,
)


def publish(connection: Connection, user: str, conversation_id: str) -> None:
    """Create links, one of which has expired, read one and delete one."""
    this: dict[str, Any] = {"conversation_id": conversation_id, "user_id": user}
    insert_message(connection, conversation_id, user)
    made = [
        json.loads(links.insert(connection, **this, **link(f"{user} {number}", expires_at)))
        for number, expires_at in enumerate((None, "2020-01-01Z"))
    ]
    published.select_one(connection, secret_hash=link(f"{user} 0")["secret_hash"])
    links.select_page(connection, **this)
    links.delete(connection, **this, link_id=made[0]["id"])
    with suppress(errors.Missing):
        links.delete(connection, **this, link_id=made[0]["id"])


def share(connection: Connection, user: str, conversation_id: str) -> None:
    """Share a conversation, read it and post to it as a member, and leave it."""
    this: dict[str, Any] = {"conversation_id": conversation_id, "user_id": user}
    for role in ("viewer", "editor"):
        shares.upsert(connection, **this, member_id="m", role=role)
    shares.select_page(connection, **this)
    attachment_id = insert_attachment(connection, "m")
    grant = MemberGrant(user, conversation_id, "m", "editor", access.READ)
    routed = message(conversation_id, user, routing_decision={"selected_agents": ["a"]})
    messages.insert(connection, **routed)
    with acting_under(grant):
        marking.update(connection, **this)
        for changed in ({"tags": ["t"]}, {"pinned": True}):
            conversations.update(connection, **this, changes=changed)
        with engine.transaction() as transaction:
            conversations.lock(transaction, **this)
    with acting_under(grant):
        conversations.select_one(connection, **this)
        messages.select_page(connection, **this, limit=1)
    with acting_under(grant._replace(purpose=access.WRITE)):
        message_id = insert_message(connection, conversation_id, user)
        message_edits.update(
            connection, message_id=message_id, user_id=user, changes={"content": "C"}
        )
        insert_message(connection, conversation_id, user, attachment_ids=[attachment_id])
        with suppress(errors.InvalidItems):
            insert_message(connection, conversation_id, user, attachment_ids=[ABSENT_ID])
    with acting_under(grant._replace(purpose=access.LEAVE)), engine.transaction() as transaction:
        shares.delete(transaction, **this, member_id="m", leaves=True)


def tell_member(connection: Connection, user: str, conversation_id: str) -> None:
    """Do what members are told, and read their lists and their log."""
    this: dict[str, Any] = {"conversation_id": conversation_id, "user_id": user}
    member = f"member of {user}"
    shares.upsert(connection, **this, member_id=member, role="viewer")
    messages.insert(connection, **message(conversation_id, user))
    add_attachments(connection, user, conversation_id)
    conversations.update(connection, **this, changes={"title": "T"})
    run_id = insert_run(connection, user, conversation_id=conversation_id)
    runs.update(connection, run_id=run_id, user_id=user, changes={"error": "E"})
    runs.update(connection, run_id=run_id, user_id=user, changes={"status": "running"})
    insert_conversation(connection, member)
    for given in ({}, {"shared": True}, {"shared": False}, {"offset": 9}):
        conversation_lists.select_page(connection, user_id=member, limit=9, **given)
    changes.select_page(connection, user_id=member, after=0, limit=9, tag=bytes.decode)
    conversation_deletion.delete(connection, **this)
