"""Queries for messages."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from db import access, engine
from db.attachments import attachment_links
from db.branches import pages, posting
from db.branches.pages import Selection
from db.change_log import recording
from db.characters import cut
from db.documents import Row
from db.engine import Connection, current_grant, current_membership
from db.engine.failures import reference
from db.engine.statement import Statement
from db.errors import Reference
from db.messages import message_details, message_insertion
from db.messages.message_documents import MESSAGE, STORED_MESSAGE
from db.models import PREVIEW_CHARACTERS, Id, conversations, messages, new_id
from db.organising import agents, reading
from db.paging.page import Page
from db.paging.row_page import RowPage
from db.search import index
from db.sharing import memberships, telling

_PARENT = MESSAGE.names.index("parent_id")

_c = messages.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_this_conversation = sa.and_(conversations.c.id == _conversation, access.CONVERSATION)

_this = sa.and_(_c.id == sa.bindparam("this_id", type_=Id), access.MESSAGE)
_select_one = Statement(sa.select(*STORED_MESSAGE.columns, _c.position).where(_this))
_select_one_with_parent = Statement(sa.select(*MESSAGE.columns).where(_this))


@functools.cache
def _select_page(selection: Selection, *, or_membership: bool) -> RowPage:
    around = functools.partial(_with_count, selection=selection, or_membership=or_membership)
    return pages.query(_conversation, selection, around=around)


def _with_count(
    page: sa.Select[Any], *, selection: Selection, or_membership: bool
) -> sa.Select[Any]:
    """Return a select that has one row without a message if the page is empty.

    With `or_membership` and if the conversation is not the caller's, it has one row with a
    membership.
    """
    found = page.subquery("found")
    count = _count_all if selection.all_branches else conversations.c.message_count
    own = sa.select(count).where(_this_conversation)
    either = memberships.or_membership(own, _conversation) if or_membership else own
    conversation = either.subquery("conversation")
    return sa.select(found, *conversation.c).select_from(
        sa.outerjoin(conversation, found, sa.true())
    )


_count_all = (
    sa.select(sa.func.count())
    .where(_c.conversation_id == _conversation, access.MESSAGE)
    .scalar_subquery()
)
_select_own = Statement(sa.select(conversations.c.id).where(_this_conversation))


def select_page(
    connection: Connection,
    *,
    conversation_id: str,
    user_id: str,
    limit: int,
    offset: int = 0,
    order: str = "asc",
    all_branches: bool = False,
    after: list[Any] | None = None,
) -> Page:
    """Return a page of a conversation's messages. Keys are [position].

    It has the messages of the active path or, with `all_branches`, all of them. Raises Missing,
    Denied and Granted.
    """
    values = {
        "of_conversation": conversation_id,
        "acting_user": user_id,
    }
    if after is not None:
        (values["after_position"],) = after
    start = "offset" if offset else ""
    if after is not None:
        start = "position"
    selection = Selection(order, start, all_branches)
    or_membership = memberships.is_found_as_well(connection)
    query = _select_page(selection, or_membership=or_membership)
    rows = query.read(connection, values, limit=limit, offset=offset)
    found = None
    extra = () if rows is None else rows.extra[selection.needs_parent :]
    if rows is not None and or_membership:
        extra, found = memberships.split(extra)
    if rows is None or found is not None:
        access.refuse(
            connection,
            "conversation",
            row_id=conversation_id,
            user_id=user_id,
            allows=access.READ,
            membership=found,
        )
    return Page(rows.documents, extra[0], [rows.last[0]] if rows.has_more else None)


def select_one(connection: Connection, *, message_id: str, user_id: str) -> bytes:
    """Return a message's document. Raises Missing, Denied and Granted."""
    values = {"this_id": message_id, "acting_user": user_id}
    row = _select_one.row(connection, values)
    if row is None:
        access.refuse(connection, "message", row_id=message_id, user_id=user_id, allows=access.READ)
    return MESSAGE.write(_with_parent(connection, row, values))


def _with_parent(connection: Connection, row: Row, values: Mapping[str, Any]) -> Row:
    """Return the row of a message, whose position comes last, after looking for its parent.

    Only messages that an old server has stored, and the first ones of a conversation, lack it.
    """
    *message, position = row
    if position == 1 or message[_PARENT] is not None:
        return message
    found: Row | None = _select_one_with_parent.row(connection, values)
    return found or message


def insert(
    connection: Connection,
    *,
    conversation_id: str,
    user_id: str,
    role: str,
    content: str,
    parts: Sequence[Mapping[str, Any]] | None = None,
    attachments: Sequence[Mapping[str, Any]] | None = None,
    attachment_ids: Sequence[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    routing_decision: Mapping[str, Any] | None = None,
    tool_calls: Sequence[Mapping[str, Any]] | None = None,
    title: str | None = None,
    parent_id: str | None = None,
    sibling_of: str | None = None,
) -> tuple[str, bytes]:
    """Append a message to a conversation; return its id and its document.

    `title` becomes the conversation's title if that was not set yet. `attachment_ids`, `parent_id`
    and `sibling_of` need a transaction.
    Raises Missing, Denied and Granted for the conversation, Reference for a run that is not the
    user's or, under a grant, for another run, and what `attachment_links.link` raises.
    """
    message_id = new_id()
    membership = current_membership()
    values: dict[str, Any] = {
        "acting_user": user_id,
        "of_conversation": conversation_id,
        "change_id": new_id(),
        "new_id": message_id,
        "new_role": role,
        "new_content": content,
        "new_attachments": attachments,
        "new_chat_attachments": None,
        "new_metadata": metadata,
        "new_run_id": run_id,
        "new_routing_decision": routing_decision,
        "new_tool_calls": tool_calls,
        "new_details": None,
        "new_title": title,
        # Shortened here because the statement would need the whole content twice.
        "preview": cut(content, PREVIEW_CHARACTERS),
        "is_read": reading.is_read(role),
        "new_agents": agents.selected(routing_decision),
        "new_terms": index.terms(user_id, content),
    }
    grant = current_grant()
    if grant is not None and run_id not in (None, grant.run_id):
        raise Reference("run_id")
    if membership is not None or parts is not None:
        author = membership.member_id if membership else None
        values["new_details"] = message_details.write(author=author, parts=parts)
    branch = posting.start(
        connection,
        conversation_id=conversation_id,
        user_id=user_id,
        message_id=message_id,
        parent_id=parent_id,
        sibling_of=sibling_of,
    )
    if attachment_ids:
        values["new_chat_attachments"] = attachment_links.link(
            connection,
            attachment_ids=attachment_ids,
            conversation_id=conversation_id,
            message_id=message_id,
            user_id=user_id,
        )
    with reference("run_id"):
        row = None
        if membership is None:
            statement = message_insertion.insert_unshared
            if values["new_agents"]:
                statement = message_insertion.insert_unshared_with_agents
            row = statement.row(connection, values)
        if row is None:
            row = _insert_shared(connection, values)
    row = _with_parent(connection, row, {**values, "this_id": message_id})
    if branch is not None:
        row = branch.number(connection, row)
    recording.announce(connection, user_id)
    return message_id, MESSAGE.write(row)


def _insert_shared(connection: Connection, values: Mapping[str, Any]) -> Row:
    """Append a message to a conversation that has members, and tell them. Return the message."""
    conversation_id, user_id = values["of_conversation"], values["acting_user"]
    refuse = functools.partial(
        access.refuse,
        connection,
        "conversation",
        row_id=conversation_id,
        user_id=user_id,
        allows=access.WRITE,
    )
    membership = current_membership()
    if membership is None and _select_own.row(connection, values) is None:
        refuse()
    with engine.joined(connection):
        row: Row | None = message_insertion.insert.row(connection, values)
        if row is None:
            refuse()
        members = telling.select_members(
            connection, conversation_id=conversation_id, owner_id=user_id
        )
        telling.check_role(members)
        if values["new_agents"]:
            message_insertion.insert_agents.rowcount(connection, values)
        *message, position = row
        telling.tell_of_message(
            connection,
            members,
            conversation_id=conversation_id,
            message=message,
            agents=values["new_agents"],
            position=position,
            read_by=membership.member_id if membership and values["new_role"] == "user" else None,
        )
    return row
