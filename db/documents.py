"""Writes rows as the JSON documents of the contract's resources.

Each function unpacks a row whose first values are the columns of its resource. Writing the names
out takes half as long as any loop over them, and a page has up to 500 rows.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson
from orjson import Fragment
from sqlalchemy import ColumnElement, DateTime, Table, func, literal_column

from db import models

Row = Sequence[Any]

_UTC: ColumnElement[str] = literal_column("'UTC'")


class Document(NamedTuple):
    """A resource: its table, the columns that its document is written from, and the function."""

    table: Table
    columns: list[ColumnElement[Any]]
    write: Callable[[Row], bytes]


def utc(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a time in UTC, independent of the session's time zone."""
    return func.timezone(_UTC, moment, type_=DateTime())


def time(text: str) -> str:
    """Return RFC 3339 with microseconds for a time in UTC as PostgreSQL writes it.

    PostgreSQL omits zeros at the end: 2026-03-02 09:14:23.0477.
    """
    if len(text) == 26:
        return f"{text[:10]}T{text[11:]}Z"
    return f"{text[:10]}T{text[11:19]}.{text[20:]:0<6}Z"


def _columns(table: Table, *names: str) -> list[ColumnElement[Any]]:
    columns = [table.c[name] for name in names]
    return [utc(c) if isinstance(c.type, DateTime) else c for c in columns]


def _write_conversation(row: Row) -> bytes:
    id_, title, user_id, source, model, agent_id, is_private, metadata, count = row[:9]
    last_role, last_content, last_at, created_at, updated_at = row[9:14]
    last_message = None
    if last_at is not None:
        last_message = {"role": last_role, "content": last_content, "created_at": time(last_at)}
    return orjson.dumps(
        {
            "id": id_,
            "title": title,
            "user_id": user_id,
            "source": source,
            "model": model,
            "agent_id": agent_id,
            "is_private": is_private,
            "metadata": metadata and Fragment(metadata),
            "message_count": count,
            "last_message": last_message,
            "created_at": time(created_at),
            "updated_at": time(updated_at),
        }
    )


def _write_message(row: Row) -> bytes:
    id_, conversation_id, role, content, attachments, metadata = row[:6]
    run_id, routing_decision, tool_calls, created_at = row[6:10]
    return orjson.dumps(
        {
            "id": id_,
            "conversation_id": conversation_id,
            "role": role,
            "content": content,
            "attachments": attachments and Fragment(attachments),
            "metadata": metadata and Fragment(metadata),
            "run_id": run_id,
            "routing_decision": routing_decision and Fragment(routing_decision),
            "tool_calls": tool_calls and Fragment(tool_calls),
            "created_at": time(created_at),
        }
    )


def _write_run(row: Row) -> bytes:
    id_, agent_id, conversation_id, status, input_, output, error = row[:7]
    created_by, created_at, updated_at, started_at, finished_at = row[7:12]
    return orjson.dumps(
        {
            "id": id_,
            "agent_id": agent_id,
            "conversation_id": conversation_id,
            "status": status,
            "input": input_ and Fragment(input_),
            "output": output and Fragment(output),
            "error": error,
            "created_by": created_by,
            "created_at": time(created_at),
            "updated_at": time(updated_at),
            "started_at": started_at and time(started_at),
            "finished_at": finished_at and time(finished_at),
        }
    )


def _write_run_event(row: Row) -> bytes:
    sequence, type_, data, transient, created_at = row[:5]
    return orjson.dumps(
        {
            "sequence": sequence,
            "type": type_,
            "data": Fragment(data),
            "transient": transient,
            "created_at": time(created_at),
        }
    )


def _write_chat_settings(row: Row) -> bytes:
    id_, user_id, tools, agents, model, temperature, max_tokens, created_at, updated_at = row
    return orjson.dumps(
        {
            "id": id_,
            "user_id": user_id,
            "enabled_tools": tools,
            "enabled_agents": agents,
            "model": model,
            "temperature": temperature,
            "max_tokens": max_tokens,
            "created_at": time(created_at),
            "updated_at": time(updated_at),
        }
    )


CONVERSATION = Document(
    models.conversations,
    _columns(
        models.conversations,
        *("id", "title", "user_id", "source", "model", "agent_id", "is_private", "metadata"),
        *("message_count", "last_message_role", "last_message_content", "last_message_at"),
        *("created_at", "updated_at"),
    ),
    _write_conversation,
)
MESSAGE = Document(
    models.messages,
    _columns(
        models.messages,
        *("id", "conversation_id", "role", "content", "attachments", "metadata"),
        *("run_id", "routing_decision", "tool_calls", "created_at"),
    ),
    _write_message,
)
RUN = Document(
    models.runs,
    _columns(
        models.runs,
        *("id", "agent_id", "conversation_id", "status", "input", "output", "error"),
        *("created_by", "created_at", "updated_at", "started_at", "finished_at"),
    ),
    _write_run,
)
RUN_EVENT = Document(
    models.run_events,
    _columns(models.run_events, "sequence", "type", "data", "transient", "created_at"),
    _write_run_event,
)
CHAT_SETTINGS = Document(
    models.chat_settings,
    _columns(
        models.chat_settings,
        *("id", "user_id", "enabled_tools", "enabled_agents", "model", "temperature"),
        *("max_tokens", "created_at", "updated_at"),
    ),
    _write_chat_settings,
)
