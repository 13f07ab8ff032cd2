"""The statements that append a message to a conversation, and update the conversation.

The conversation's row lock serialises writers, so positions and times have the same order. After a
wait PostgreSQL computes the new values from the updated row.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from db import access
from db.branches import places
from db.change_log import recording
from db.documents import Row
from db.engine import Connection, is_distributed
from db.engine.statement import Statement
from db.messages.message_documents import NEW_MESSAGE
from db.models import Id, conversation_agents, conversations, messages
from db.organising import agents, reading
from db.search import index
from db.sharing import telling

_c = messages.c
_this_conversation = sa.and_(
    conversations.c.id == sa.bindparam("of_conversation", type_=Id), access.CONVERSATION
)
_id: sa.BindParameter[str] = sa.bindparam("new_id", type_=Id)
_role: sa.BindParameter[str] = sa.bindparam("new_role", type_=_c.role.type)
_NAMES = (
    *("content", "attachments", "chat_attachments", "metadata", "run_id"),
    *("routing_decision", "tool_calls", "details"),
)


def insert(
    connection: Connection, values: Mapping[str, Any], *, to_members: bool = False
) -> Row | None:
    """Append a message; return its row, whose position comes last, or None.

    Without `to_members` a conversation that has members is not found.
    """
    build = _build_apart if is_distributed(connection) else _build
    row: Row | None = build(to_members, bool(values["new_agents"])).row(connection, values)
    return row


@functools.cache
def _build(to_members: bool, has_agents: bool) -> Statement:
    """Return one statement. It takes less time than several, which find the conversation again."""
    c = conversations.c
    update = _update(_conditions(to_members)).returning(
        *(c.id, c.user_id, c.updated_at, c.last_position, c.previous_message_id)
    )
    *others, message = _insertions(update.cte("conversation"), (), has_agents=has_agents)
    return Statement(message.add_cte(*(each.cte(f"new_{each.table.name}") for each in others)))


@functools.cache
def _build_apart(to_members: bool, has_agents: bool) -> Statement:
    """Return statements for distributed tables: an INSERT from an UPDATE is sent to all shards."""
    conditions = _conditions(to_members)
    insertions = _insertions(conversations, conditions, has_agents=has_agents)
    return Statement(_update(conditions), *insertions)


def _conditions(to_members: bool) -> list[sa.ColumnElement[bool]]:
    return [_this_conversation] if to_members else [_this_conversation, telling.UNSHARED]


def _update(conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Update:
    """Return the statement that updates the conversation, if it meets the conditions."""
    now = recording.time_after(conversations.c.updated_at)
    title: sa.BindParameter[str | None] = sa.bindparam("new_title", type_=sa.String)
    return (
        sa.update(conversations)
        .where(*conditions)
        .values(
            message_count=conversations.c.message_count + reading.ONE,
            last_position=conversations.c.last_position + reading.ONE,
            last_message_role=_role,
            last_message_content=sa.bindparam("preview"),
            last_message_at=now,
            updated_at=now,
            **reading.AFTER_POST,
            **index.AFTER_POST,
            **places.after_post(_id),
            title=sa.case(
                (conversations.c.auto_title, sa.func.coalesce(title, conversations.c.title)),
                else_=conversations.c.title,
            ),
            auto_title=sa.and_(conversations.c.auto_title, title.is_(None)),
        )
    )


def _insertions(
    conversation: sa.FromClause, where: Sequence[sa.ColumnElement[bool]], *, has_agents: bool
) -> list[sa.Insert]:
    """Return what adds the change, the terms, the agents and the message, which is returned.

    `where` finds the conversation, which is already updated.
    """
    c = conversation.c
    change = recording.insertion_for(
        "message.created",
        c.user_id,
        where=where,
        at=c.updated_at,
        conversation_id=c.id,
        resource_id=_id,
    )
    terms = index.insertion(conversation, message_id=_id, role=_role, where=where)
    selected = agents.insertion(conversation_agents, c.id, c.user_id, *where)
    columns: dict[str, sa.ColumnElement[Any]] = {
        "id": _id,
        "conversation_id": c.id,
        "user_id": c.user_id,
        "position": c.last_position,
        "role": _role,
        "created_at": c.updated_at,
        "parent_id": c.previous_message_id,
        **{name: sa.bindparam(f"new_{name}", type_=_c[name].type) for name in _NAMES},
    }
    rows = sa.select(*columns.values()).where(*where)
    message = sa.insert(messages).from_select(list(columns), rows)
    returned = message.returning(*NEW_MESSAGE.columns, _c.position)
    return [change, terms, *([selected] if has_agents else []), returned]
