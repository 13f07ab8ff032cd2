"""Inserts minimal rows, reads single values, and traces the statements sent to the database."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from db import runs
from db.attachments import chat_attachments
from db.conversations import conversations
from db.engine import Connection, Hooks
from db.messages import messages
from db.sharing import shares

ABSENT_ID = "00000000-0000-0000-0000-000000000000"
"""An id that no row has."""

Trace = list[tuple[str, Any]]

_traces: list[Trace] = []
# What each connection does once.
_PREPARES = re.compile(
    r"^SELECT pg_backend_pid\(\)$|^SET transaction_timeout|;\nPREPARE |to_regprocedure"
)


@contextmanager
def _trace(sql: str, parameters: Mapping[str, Any] | None) -> Iterator[None]:
    if not _PREPARES.search(sql):
        for trace in _traces:
            trace.append((sql, parameters))
    yield


TRACED = Hooks(around_statement=_trace)
"""For engine.configure, so that `traced` sees the statements."""


def value(connection: Connection, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """Return the first value of the first row."""
    return row(connection, sql, parameters)[0]


def row(
    connection: Connection, sql: str, parameters: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    """Return the first row."""
    with closing(connection.execute(sql, parameters)) as cursor:
        first = cursor.fetchone()
    assert first is not None
    return first


def insert_conversation(connection: Connection, user: str, **given: Any) -> str:
    conversation_id, _ = conversations.insert(connection, user_id=user, **given)
    return conversation_id


def insert_run(connection: Connection, user: str, **given: Any) -> str:
    run_id, _ = runs.insert(connection, user_id=user, **{"agent_id": "a", **given})
    return run_id


def insert_attachment(connection: Connection, user: str, **given: Any) -> str:
    file = {"filename": "a.pdf", "file_url": "s3://a", **given}
    attachment_id, _ = chat_attachments.insert(connection, user_id=user, **file)
    return attachment_id


def insert_message(connection: Connection, conversation_id: str, user: str, **given: Any) -> str:
    message_id, _ = messages.insert(connection, **message(conversation_id, user, **given))
    return message_id


def message(conversation_id: str, user: str, **given: Any) -> dict[str, Any]:
    """Return arguments for `messages.insert`."""
    required = {"conversation_id": conversation_id, "user_id": user}
    return {**required, "role": "user", "content": "Hello", **given}


def share(
    connection: Connection,
    conversation_id: str,
    owner: str,
    member: str = "m",
    role: str = "viewer",
) -> dict[str, str]:
    """Share a conversation, and return the share."""
    document: dict[str, str] = json.loads(
        shares.upsert(
            connection,
            conversation_id=conversation_id,
            user_id=owner,
            member_id=member,
            role=role,
        )
    )
    return document


def link(secret: str, expires_at: str | None = None) -> dict[str, Any]:
    """Return arguments for `links.insert`."""
    secret_hash = hashlib.sha256(secret.encode()).hexdigest()
    return {"secret_hash": secret_hash, "with_attachments": False, "expires_at": expires_at}


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
    """Collect all statements, with their parameters, sent within the block.

    The engine must have been configured with TRACED.
    """
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
        if not part.startswith(("SET ", "SELECT act_as(", "SELECT act_under(", "SELECT act_for("))
    )
    return "".join(f"{part};\n" for part in parts[:first]), parts[first:]
