"""Inserts minimal rows, and traces the statements sent to the database."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812 (it is a class)
from sqlalchemy import Connection, Pool, event

from db import conversations, messages, runs

Trace = list[tuple[str, Any]]

_traces: list[Trace] = []
# What each connection does once.
_PREPARES = re.compile(
    r"^SELECT pg_backend_pid\(\)$|^SET transaction_timeout|;\nPREPARE |to_regprocedure"
)


class _TracedCursor(Cursor):
    def execute(self, query: Any, parameters: Any = None) -> None:
        if not _PREPARES.search(query):
            for trace in _traces:
                trace.append((query, parameters))
        super().execute(query, parameters)


# Trace cursors of all connections, because SQLAlchemy's events do not see a Statement's SQL.
@event.listens_for(Pool, "connect")
def _trace(connection: Any, _: object) -> None:
    connection.cursor_factory = _TracedCursor


def insert_conversation(connection: Connection, user: str, **given: Any) -> str:
    conversation_id, _ = conversations.insert(connection, user_id=user, **given)
    return conversation_id


def insert_run(connection: Connection, user: str, **given: Any) -> str:
    run_id, _ = runs.insert(connection, user_id=user, **{"agent_id": "a", **given})
    return run_id


def insert_message(connection: Connection, conversation_id: str, user: str, **given: Any) -> str:
    message_id, _ = messages.insert(connection, **message(conversation_id, user, **given))
    return message_id


def message(conversation_id: str, user: str, **given: Any) -> dict[str, Any]:
    """Return arguments for `messages.insert`."""
    required = {"conversation_id": conversation_id, "user_id": user}
    return {**required, "role": "user", "content": "Hello", **given}


def answer(user: str, **document: Any) -> dict[str, Any]:
    """Return arguments for `idempotency_keys.insert`, for a response about a conversation."""
    return {
        "user_id": user,
        "key": "k",
        "fingerprint": bytes(32),
        "status": 201,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(document).encode(),
        "conversation_id": document["id"],
    }


@contextmanager
def traced() -> Iterator[Trace]:
    """Collect all statements, with their parameters, sent within the block."""
    trace: Trace = []
    _traces.append(trace)
    try:
        yield trace
    finally:
        _traces.remove(trace)


def split(message: str) -> tuple[str, list[str]]:
    """Return the settings at the start of a message, and its statements."""
    parts = message.split(";\n")
    first = next(
        number
        for number, part in enumerate(parts)
        if not part.startswith(("SET ", "SELECT act_as("))
    )
    return "".join(f"{part};\n" for part in parts[:first]), parts[first:]
