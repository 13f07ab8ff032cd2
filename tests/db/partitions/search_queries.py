"""Sends the statements of searches and of their index."""

from typing import Any

import sqlalchemy as sa

from db import engine
from db.engine import Connection
from db.engine.statement import Statement
from db.models import conversations
from db.search import backlog, index, query, search
from db.sharing import shares
from tests.db.rows import insert_message


def search_everywhere(connection: Connection, user: str, conversation_id: str) -> None:
    """Search in own and shared conversations, with and without all filters, and index messages."""
    this = {"conversation_id": conversation_id, "user_id": user}
    message_id = insert_message(connection, conversation_id, user)
    index.update(connection, **this, message_id=message_id, content="Hello again")
    shares.upsert(connection, **this, member_id=f"member of {user}", role="viewer")
    words: dict[str, Any] = {"query": query.parse("hello"), "limit": 1}
    filters: dict[str, Any] = {
        "conversation_id": conversation_id,
        "role": "user",
        "created_after": "2000-01-01T00:00:00+00:00",
        "created_before": "9999-01-01T00:00:00+00:00",
        "source": "s",
        "agent_id": "a",
    }
    after = [0.5, "2026-03-02T09:14:03.412907Z", message_id]
    for reader in (user, f"member of {user}"):
        search.select_page(connection, user_id=reader, **words)
        for archived in (True, False):
            given = filters | {"archived": archived, "after": after}
            search.select_page(connection, user_id=reader, **words, **given)
    index.delete(connection, **this, message_id=message_id)
    with engine.transaction() as transaction:
        _move_back(transaction, user, conversation_id)
        backlog.index_some(transaction, **this)


def _move_back(connection: Connection, user: str, conversation_id: str) -> None:
    """Let a conversation have messages that are not indexed."""
    c = conversations.c
    where = [c.id == conversation_id, c.user_id == user]
    update = sa.update(conversations).where(*where).values(indexed_position=0)
    Statement(update).rowcount(connection, {"acting_user": user})
