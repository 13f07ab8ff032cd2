"""Stores responses for idempotency keys, and finds those that a role sees."""

from collections.abc import Mapping

import sqlalchemy as sa

from db import idempotency_keys
from db.engine import Connection
from db.engine.statement import Statement
from tests.db.rows import answer

_keys = Statement(sa.text("SELECT array_agg(key::text) FROM idempotency_keys"))


def store_responses(
    connection: Connection, user: str, conversations: Mapping[str, str | None]
) -> None:
    """Store a response about each key's conversation."""
    for key, conversation in conversations.items():
        idempotency_keys.insert(connection, **answer(user, id=conversation) | {"key": key})


def keys_seen(connection: Connection, user: str) -> list[str] | None:
    """Return the keys of all responses that the current role sees, or None."""
    found: list[str] | None = _keys.scalar(connection, {"acting_user": user})
    return found
