"""The statements of the two FastAPI peers, in SQLAlchemy Core, each built once."""

import functools
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from benchmarks.peers import models
from db.models import Id, Json, MessageRole, chat_settings, conversations, messages, runs

Columns = Any
_USER = sa.bindparam("user", type_=sa.String)
_THIS = sa.bindparam("this", type_=Id)
_LIMIT = sa.bindparam("limit", type_=sa.Integer)
_OFFSET = sa.bindparam("offset", type_=sa.Integer)


def _text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """An id as text: either driver makes an object of a uuid, which costs more than its text."""
    return sa.cast(column, sa.Text).label(None)


def _plain(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """An enum as the driver gives it: SQLAlchemy's type would call Python for each value."""
    return sa.type_coerce(column, sa.String).label(None)


def _conversation(c: Columns) -> list[sa.ColumnElement[Any]]:
    """The columns of CONVERSATION, then the three of the preview."""
    preview = (_plain(c.last_message_role), c.last_message_content, c.last_message_at)
    return [*(_column(c[name]) for name in models.CONVERSATION), *preview]


def _message(c: Columns) -> list[sa.ColumnElement[Any]]:
    return [_column(c[name]) for name in models.MESSAGE]


def _column(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if isinstance(column.type, sa.Enum):
        return _plain(column)
    return _text(column) if isinstance(column.type, sa.Uuid) else column


@functools.cache
def list_conversations(
    order_by: str, order: str, *, by_source: bool, by_agent: bool, resumed: bool
) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """The first page's rows end in the total; and the total alone, for one without rows."""
    c = conversations.c
    moment = c[order_by]
    where = [c.user_id == _USER]
    if by_source:
        where.append(c.source == sa.bindparam("source"))
    if by_agent:
        where.append(c.agent_id == sa.bindparam("agent_id"))
    total = sa.select(sa.func.count()).select_from(conversations).where(*where)
    rows = sa.select(*_conversation(c)).where(*where)
    if not resumed:
        rows = rows.add_columns(total.scalar_subquery())
    else:
        key = sa.tuple_(moment, c.id)
        last = sa.tuple_(
            sa.bindparam("after_time", type_=moment.type), sa.bindparam("after_id", type_=Id)
        )
        rows = rows.where(key > last if order == "asc" else key < last)
    if order == "asc":
        rows = rows.order_by(moment.asc(), c.id.asc())
    else:
        rows = rows.order_by(moment.desc(), c.id.desc())
    return rows.limit(_LIMIT).offset(_OFFSET), total


get_conversation = sa.select(*_conversation(conversations.c)).where(
    conversations.c.id == _THIS, conversations.c.user_id == _USER
)
get_message = sa.select(*_message(messages.c)).where(
    messages.c.id == _THIS, messages.c.user_id == _USER
)
get_settings = sa.select(
    *(_text(chat_settings.c.id), chat_settings.c.user_id, chat_settings.c.enabled_tools),
    sa.cast(chat_settings.c.enabled_agents, ARRAY(sa.Text)),
    *(chat_settings.c.model, chat_settings.c.temperature, chat_settings.c.max_tokens),
    *(chat_settings.c.created_at, chat_settings.c.updated_at),
).where(chat_settings.c.user_id == _USER)


@functools.cache
def list_messages(order: str, *, resumed: bool) -> sa.Select[Any]:
    """Rows that end in the position, for whoever has found the conversation to be the user's.

    In a query of its own: joined to its messages, the conversation would come with each of them,
    which takes more CPU than a second query does.
    """
    position = messages.c.position
    rows = sa.select(*_message(messages.c), position).where(messages.c.conversation_id == _THIS)
    if resumed:
        last = sa.bindparam("after_position", type_=sa.BigInteger)
        rows = rows.where(position > last if order == "asc" else position < last)
    rows = rows.order_by(position.asc() if order == "asc" else position.desc())
    return rows.limit(_LIMIT).offset(_OFFSET)


@functools.cache
def list_own_messages(order: str, *, resumed: bool) -> sa.Select[Any]:
    """The same rows with the total at their end, where the conversation is the user's."""
    allowed = sa.and_(
        conversations.c.id == messages.c.conversation_id, conversations.c.user_id == _USER
    )
    return (
        list_messages(order, resumed=resumed)
        .add_columns(conversations.c.message_count)
        .join_from(messages, conversations, allowed)
    )


# Whose a row is, for the path on which nothing was found; and the total of a page without rows.
owner = {
    "conversation": sa.select(conversations.c.user_id, conversations.c.message_count).where(
        conversations.c.id == _THIS
    ),
    "message": sa.select(messages.c.user_id).where(messages.c.id == _THIS),
}


def _create_message() -> sa.Select[Any]:
    """One statement: the conversation's count and preview move, and the message goes in."""
    # Parameters named as columns would be taken for the columns' values.
    c = conversations.c
    now = sa.func.greatest(sa.func.statement_timestamp(), c.updated_at)
    title: sa.BindParameter[str | None] = sa.bindparam("new_title", type_=sa.String)
    run: sa.BindParameter[str | None] = sa.bindparam("new_run_id", type_=Id)
    role = sa.bindparam("new_role", type_=MessageRole)
    linked = sa.exists().where(runs.c.id == run, runs.c.created_by == _USER)
    moved = (
        sa.update(conversations)
        .where(c.id == _THIS, c.user_id == _USER, sa.or_(run.is_(None), linked))
        .values(
            message_count=c.message_count + 1,
            last_position=c.last_position + 1,
            last_message_role=role,
            last_message_content=sa.bindparam("preview", type_=sa.String),
            last_message_at=now,
            updated_at=now,
            title=sa.case((c.auto_title, sa.func.coalesce(title, c.title)), else_=c.title),
            auto_title=sa.and_(c.auto_title, title.is_(None)),
        )
        .returning(c.id, c.last_position, c.updated_at)
        .cte("moved")
    )
    columns: dict[str, sa.ColumnElement[Any]] = {
        "id": sa.bindparam("new_id", type_=Id),
        "conversation_id": moved.c.id,
        "position": moved.c.last_position,
        "role": role,
        "content": sa.bindparam("new_content", type_=sa.Text),
        "run_id": run,
        "created_at": moved.c.updated_at,
    }
    for name in ("attachments", "metadata", "routing_decision", "tool_calls"):
        columns[name] = sa.bindparam(f"new_{name}", type_=Json)
    # What went in is known; only the time is news.
    message = (
        sa.insert(messages)
        .from_select(list(columns), sa.select(*columns.values()))
        .returning(messages.c.created_at)
        .cte("message")
    )
    return sa.select(message.c.created_at)


create_message = _create_message()
