"""The statements that append a message to a conversation, and update the conversation."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from db import access
from db.branches import places
from db.change_log import recording
from db.engine.statement import Statement
from db.messages.message_documents import NEW_MESSAGE
from db.models import Id, conversations, messages
from db.organising import agents, reading
from db.organising.listed import OWN
from db.search import index
from db.sharing import telling

_c = messages.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_this_conversation = sa.and_(conversations.c.id == _conversation, access.CONVERSATION)


def append(*others: sa.Insert, conditions: Sequence[sa.ColumnElement[bool]] = ()) -> Statement:
    """Return the statements that update the conversation, record the change and add the message.

    They do so if the conversation meets the conditions. The `others` insert what belongs to the
    message. The position is returned after the message's columns.
    The conversation's row lock serialises writers, so positions and times have the same order.
    After a wait PostgreSQL computes the new values from the updated row.
    """
    this_conversation = sa.and_(_this_conversation, *conditions)
    now = recording.time_after(conversations.c.updated_at)
    new: sa.BindParameter[str] = sa.bindparam("new_id", type_=Id)
    title: sa.BindParameter[str | None] = sa.bindparam("new_title", type_=sa.String)
    role: sa.BindParameter[str] = sa.bindparam("new_role", type_=_c.role.type)
    update = (
        sa.update(conversations)
        .where(this_conversation)
        .values(
            message_count=conversations.c.message_count + reading.ONE,
            last_position=conversations.c.last_position + reading.ONE,
            last_message_role=role,
            last_message_content=sa.bindparam("preview"),
            last_message_at=now,
            updated_at=now,
            **reading.AFTER_POST,
            **index.AFTER_POST,
            **places.after_post(new),
            title=sa.case(
                (conversations.c.auto_title, sa.func.coalesce(title, conversations.c.title)),
                else_=conversations.c.title,
            ),
            auto_title=sa.and_(conversations.c.auto_title, title.is_(None)),
        )
    )
    record = recording.insertion_for(
        "message.created",
        conversations,
        where=[this_conversation],
        at=conversations.c.updated_at,
        conversation_id=conversations.c.id,
        resource_id=new,
    )
    make_searchable = index.insertion(message_id=new, role=role, where=[this_conversation])
    columns: dict[str, sa.ColumnElement[Any]] = {
        "id": new,
        "conversation_id": conversations.c.id,
        "user_id": conversations.c.user_id,
        "position": conversations.c.last_position,
        "role": role,
        "created_at": conversations.c.updated_at,
        "parent_id": conversations.c.previous_message_id,
    }
    names = (
        *("content", "attachments", "chat_attachments", "metadata", "run_id"),
        *("routing_decision", "tool_calls", "details"),
    )
    for name in names:
        columns[name] = sa.bindparam(f"new_{name}", type_=_c[name].type)
    rows = sa.select(*columns.values()).where(this_conversation)
    insert = sa.insert(messages).from_select(list(columns), rows)
    insert_returning = insert.returning(*NEW_MESSAGE.columns, _c.position)
    return Statement(update, record, make_searchable, *others, insert_returning)


insert_unshared = append(conditions=[telling.UNSHARED])
insert_unshared_with_agents = append(
    agents.insertion(OWN, _this_conversation, telling.UNSHARED), conditions=[telling.UNSHARED]
)
insert = append()
"""For conversations with members."""
insert_agents = Statement(agents.insertion(OWN, _this_conversation))
