"""Queries for messages."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from db import access, documents
from db.characters import cut
from db.engine.statement import Statement
from db.errors import Missing, Reference
from db.models import PREVIEW_CHARACTERS, Id, conversations, messages, new_id, runs
from db.paging.page import Page
from db.paging.row_page import RowPage

_c = messages.c
_conversation = sa.bindparam("of_conversation", type_=Id)

_select_one = Statement(
    sa.select(documents.text(documents.message(_c))).where(
        _c.id == sa.bindparam("this_id", type_=Id), access.MESSAGE
    )
)


@functools.cache
def _select_page(order: str, *, resumed: bool) -> RowPage:
    rows = sa.select(messages).where(_c.conversation_id == _conversation)
    if resumed:
        last = sa.bindparam("after_position", type_=sa.BigInteger)
        rows = rows.where(_c.position > last if order == "asc" else _c.position < last)
    rows = rows.order_by(_c.position.asc() if order == "asc" else _c.position.desc())
    return RowPage(rows, documents.message, "position", around=_with_count)


def _with_count(page: sa.Select[Any]) -> sa.Select[Any]:
    found = page.subquery("found")
    return (
        sa.select(found, conversations.c.message_count)
        .select_from(conversations)
        .join(found, sa.true())
        .where(conversations.c.id == _conversation, access.CONVERSATION)
    )


def _insert(*, linked: bool) -> Statement:
    """Return one statement that updates the conversation's count and preview, and adds the message.

    The conversation's row lock serialises writers, so positions and times have the same order.
    After a wait PostgreSQL computes the new values from the updated row.
    """
    # greatest() because a writer that waited has an earlier statement time than the previous one.
    now = sa.func.greatest(sa.func.statement_timestamp(), conversations.c.updated_at)
    title: sa.BindParameter[str | None] = sa.bindparam("new_title", type_=sa.String)
    run_id: sa.ColumnElement[Any] = sa.null()
    allowed = [conversations.c.id == _conversation, access.CONVERSATION]
    if linked:
        # The lock keeps the run from being deleted before the message refers to it.
        run = (
            sa.select(runs.c.id)
            .where(runs.c.id == sa.bindparam("of_run", type_=Id), access.RUN)
            .with_for_update(read=True, key_share=True)
            .cte("run")
        )
        run_id = sa.select(run.c.id).scalar_subquery()
        allowed.append(sa.exists(sa.select(run.c.id)))
    updated = (
        sa.update(conversations)
        .where(*allowed)
        .values(
            message_count=conversations.c.message_count + 1,
            last_position=conversations.c.last_position + 1,
            last_message_role=sa.bindparam("new_role", type_=_c.role.type),
            last_message_content=sa.bindparam("preview"),
            last_message_at=now,
            updated_at=now,
            title=sa.case(
                (conversations.c.auto_title, sa.func.coalesce(title, conversations.c.title)),
                else_=conversations.c.title,
            ),
            auto_title=sa.and_(conversations.c.auto_title, title.is_(None)),
        )
        .returning(conversations.c.id, conversations.c.last_position, conversations.c.updated_at)
        .cte("conversation")
    )
    columns: dict[str, sa.ColumnElement[Any]] = {
        "id": sa.bindparam("new_id", type_=Id),
        "conversation_id": updated.c.id,
        "position": updated.c.last_position,
        "role": sa.bindparam("new_role", type_=_c.role.type),
        "created_at": updated.c.updated_at,
        "run_id": run_id,
    }
    for name in ("content", "attachments", "metadata", "routing_decision", "tool_calls"):
        columns[name] = sa.bindparam(f"new_{name}", type_=_c[name].type)
    message = (
        sa.insert(messages)
        .from_select(list(columns), sa.select(*columns.values()))
        .returning(*_c)
        .cte("message")
    )
    return Statement(sa.select(documents.text(documents.message(message.c))))


_insert_alone = _insert(linked=False)
_insert_linked = _insert(linked=True)


def select_page(
    connection: sa.Connection,
    *,
    conversation_id: str,
    user_id: str,
    limit: int,
    offset: int = 0,
    order: str = "asc",
    after: list[Any] | None = None,
) -> Page:
    """Return a page of a conversation's messages. Keys are [position].

    Raises Missing and Denied.
    """
    values = {
        "of_conversation": conversation_id,
        "acting_user": user_id,
        # One row more than requested shows whether more follow.
        "limit": limit + 1,
        "offset": offset,
    }
    if after is not None:
        (values["after_position"],) = after
    rows = _select_page(order, resumed=after is not None).read(connection, values)
    if rows is None:
        access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
    rows = rows.at_most(limit)
    positions, total = rows.extra
    return Page(rows.documents, total, [positions[rows.row_count - 1]] if rows.has_more else None)


def select_one(connection: sa.Connection, *, message_id: str, user_id: str) -> bytes:
    """Return a message's document. Raises Missing and Denied."""
    values = {"this_id": message_id, "acting_user": user_id}
    document: bytes | None = _select_one.scalar(connection, values)
    if document is None:
        access.refuse(connection, "message", row_id=message_id, user_id=user_id)
    return document


def insert(
    connection: sa.Connection,
    *,
    conversation_id: str,
    user_id: str,
    role: str,
    content: str,
    attachments: Sequence[Mapping[str, Any]] | None = None,
    metadata: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    routing_decision: Mapping[str, Any] | None = None,
    tool_calls: Sequence[Mapping[str, Any]] | None = None,
    title: str | None = None,
) -> tuple[str, bytes]:
    """Append a message to a conversation; return its id and its document.

    `title` becomes the conversation's title if that was not set yet.
    Raises Missing and Denied for the conversation, Reference for a run that is not the user's.
    """
    message_id = new_id()
    values = {
        "acting_user": user_id,
        "of_conversation": conversation_id,
        "of_run": run_id,
        "new_id": message_id,
        "new_role": role,
        "new_content": content,
        "new_attachments": attachments,
        "new_metadata": metadata,
        "new_routing_decision": routing_decision,
        "new_tool_calls": tool_calls,
        "new_title": title,
        # Shortened here because the statement would need the whole content twice.
        "preview": cut(content, PREVIEW_CHARACTERS),
    }
    statement = _insert_alone if run_id is None else _insert_linked
    document: bytes | None = statement.scalar(connection, values)
    if document is None:
        access.require(connection, "conversation", row_id=conversation_id, user_id=user_id)
        raise Missing("conversation") if run_id is None else Reference("run_id")
    return message_id, document
