"""SQL expressions that build the JSON document of each resource; Python sends them unchanged."""

from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Text,
    case,
    cast,
    func,
    literal_column,
    null,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection

Columns = ReadOnlyColumnCollection[str, Any]
Json = ColumnElement[Any]

_TIME_FORMAT: ColumnElement[str] = literal_column("""'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'""")
_UTC: ColumnElement[str] = literal_column("'UTC'")


def conversation(c: Columns) -> Json:
    """Build a Conversation of the contract, without its messages."""
    last_message = case(
        (
            c.last_message_at.is_not(None),
            _object(
                role=c.last_message_role,
                content=c.last_message_content,
                created_at=_time(c.last_message_at),
            ),
        ),
        else_=null(),
    )
    return _object(
        id=c.id,
        title=c.title,
        user_id=c.user_id,
        source=c.source,
        model=c.model,
        agent_id=c.agent_id,
        is_private=c.is_private,
        metadata=c.metadata,
        message_count=c.message_count,
        last_message=last_message,
        created_at=_time(c.created_at),
        updated_at=_time(c.updated_at),
    )


def message(c: Columns) -> Json:
    """Build a Message of the contract."""
    return _object(
        id=c.id,
        conversation_id=c.conversation_id,
        role=c.role,
        content=c.content,
        attachments=c.attachments,
        metadata=c.metadata,
        run_id=c.run_id,
        routing_decision=c.routing_decision,
        tool_calls=c.tool_calls,
        created_at=_time(c.created_at),
    )


def run(c: Columns) -> Json:
    """Build a Run of the contract."""
    return _object(
        id=c.id,
        agent_id=c.agent_id,
        conversation_id=c.conversation_id,
        status=c.status,
        input=c.input,
        output=c.output,
        error=c.error,
        created_by=c.created_by,
        created_at=_time(c.created_at),
        updated_at=_time(c.updated_at),
        started_at=_time(c.started_at),
        finished_at=_time(c.finished_at),
    )


def chat_settings(c: Columns) -> Json:
    """Build ChatSettings of the contract. Defaults are in db.chat_settings."""
    return _object(
        id=c.id,
        user_id=c.user_id,
        enabled_tools=c.enabled_tools,
        enabled_agents=c.enabled_agents,
        model=c.model,
        temperature=c.temperature,
        max_tokens=c.max_tokens,
        created_at=_time(c.created_at),
        updated_at=_time(c.updated_at),
    )


def text(document: Json) -> ColumnElement[str]:
    """Cast a document to text; PostgreSQL stores json as text, so the cast is free."""
    return cast(document, Text)


def _object(**fields: ColumnElement[Any]) -> Json:
    # Literal names, because psycopg2 would have to quote parameters at every execution.
    parts: list[ColumnElement[Any]] = []
    for name, value in fields.items():
        parts += (literal_column(f"'{name}'"), value)
    return func.json_build_object(*parts, type_=JSON())


def _time(moment: ColumnElement[Any]) -> ColumnElement[str]:
    """Format as RFC 3339 in UTC with microseconds, so that a page can continue exactly there."""
    return func.to_char(func.timezone(_UTC, moment), _TIME_FORMAT)
