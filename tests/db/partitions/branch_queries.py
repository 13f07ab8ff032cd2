"""Sends the statements of the branches of a conversation."""

from typing import Any

from db import access, engine
from db.branches import activation, deletion, forks
from db.conversations import conversations
from db.engine import Connection, MemberGrant, acting_under
from db.messages import messages
from db.sharing import shares
from tests.db.rows import message


def branch(connection: Connection, user: str, conversation_id: str) -> None:
    """Start branches, switch between them, copy one, and delete a message."""
    this: dict[str, Any] = {"conversation_id": conversation_id, "user_id": user}
    new = message(conversation_id, user)
    with engine.transaction() as transaction:
        shares.upsert(transaction, **this, member_id="m", role="editor")
        first, _ = messages.insert(transaction, **new)
        decision = {"selected_agents": ["a"]}
        second, _ = messages.insert(transaction, **new, routing_decision=decision)
        other, _ = messages.insert(transaction, **new, sibling_of=second)
        messages.insert(transaction, **new, parent_id=first)
        for message_id in (second, second, other):
            activation.activate(transaction, **this, message_id=message_id)
        for up_to in (None, second):
            forks.insert(transaction, **this, up_to=up_to)
        deletion.lock(transaction, message_id=second, user_id=user)
        deletion.delete(transaction, message_id=second, user_id=user)
    for order in ("asc", "desc"):
        messages.select_page(connection, **this, limit=1, order=order, all_branches=True)
    for start in ({"offset": 1}, {"after": [1]}):
        messages.select_page(connection, **this, limit=1, **start)
    conversations.select_with_messages(connection, **this, limit=1, offset=1)
    # Old servers store messages without a parent.
    old = "UPDATE messages SET parent_id = NULL, sibling_count = NULL WHERE id = %(id)s"
    connection.execute(old, {"id": other}).close()
    messages.select_one(connection, message_id=other, user_id=user)
    grant = MemberGrant(user, conversation_id, "m", "editor", access.BRANCH)
    with acting_under(grant), engine.transaction() as transaction:
        activation.activate(transaction, **this, message_id=first)
        messages.insert(transaction, **new, parent_id=first)
    with engine.transaction() as transaction:
        forks.insert(transaction, conversation_id=conversation_id, user_id="m")
