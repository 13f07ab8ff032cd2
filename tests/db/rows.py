"""Rows with as little said as possible, and a trace of the statements that go to the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event

from db import conversations, runs

Trace = list[tuple[str, Any]]


def insert_conversation(connection: Connection, user: str, **given: Any) -> dict[str, Any]:
    absent = dict.fromkeys(("title", "source", "model", "agent_id", "metadata"))
    row = {**absent, "is_private": False, **given}
    return conversations.insert(connection, user_id=user, **row)


def insert_run(connection: Connection, user: str, **given: Any) -> dict[str, Any]:
    row = {"agent_id": "a", "conversation_id": None, "status": "pending", "input": None, **given}
    return runs.insert(connection, user_id=user, **row)


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


@contextmanager
def traced() -> Iterator[Trace]:
    """Every statement, with its parameters, that goes to the database within the block."""
    trace: Trace = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        trace.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield trace
    finally:
        event.remove(Engine, "before_cursor_execute", note)
