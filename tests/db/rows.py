"""Rows with as little said as possible, and a trace of the statements that go to the database."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812 (it is a class)
from sqlalchemy import Connection, Pool, event

from db import conversations, messages, runs

Trace = list[tuple[str, Any]]

_traces: list[Trace] = []


class _TracedCursor(Cursor):
    def execute(self, query: Any, parameters: Any = None) -> None:
        for trace in _traces:
            trace.append((query, parameters))
        super().execute(query, parameters)


# Below SQLAlchemy, which does not see what a Statement sends: on each connection of any pool, so
# that no query can send anything that is not seen.
@event.listens_for(Pool, "connect")
def _trace(connection: Any, _: object) -> None:
    connection.cursor_factory = _TracedCursor


def insert_conversation(connection: Connection, user: str, **given: Any) -> str:
    """Insert one, and return its id."""
    absent = dict.fromkeys(("title", "source", "model", "agent_id", "metadata"))
    row = {**absent, "is_private": False, **given}
    conversation_id, _ = conversations.insert(connection, user_id=user, **row)
    return conversation_id


def insert_run(connection: Connection, user: str, **given: Any) -> str:
    """Insert one, and return its id."""
    row = {"agent_id": "a", "conversation_id": None, "status": "pending", "input": None, **given}
    run_id, _ = runs.insert(connection, user_id=user, **row)
    return run_id


def insert_message(connection: Connection, conversation_id: str, user: str, **given: Any) -> str:
    """Insert one, and return its id."""
    message_id, _ = messages.insert(connection, **message(conversation_id, user, **given))
    return message_id


def message(conversation_id: str, user: str, **given: Any) -> dict[str, Any]:
    """The arguments for a message's insert."""
    absent = ("attachments", "metadata", "run_id", "routing_decision", "tool_calls", "title")
    return {
        "conversation_id": conversation_id,
        "user_id": user,
        "role": "user",
        "content": "Hello",
        **dict.fromkeys(absent),
        **given,
    }


def answer(user: str, **document: Any) -> dict[str, Any]:
    """The arguments for the insert of a key with its answer, whose body is `document`."""
    return {
        "user_id": user,
        "key": "k",
        "fingerprint": bytes(32),
        "status": 201,
        "headers": {"Content-Type": "application/json"},
        "body": json.dumps(document).encode(),
    }


@contextmanager
def traced() -> Iterator[Trace]:
    """Every statement, with its parameters, that goes to the database within the block."""
    trace: Trace = []
    _traces.append(trace)
    try:
        yield trace
    finally:
        _traces.remove(trace)
