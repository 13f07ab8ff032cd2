"""Conversations: list, create, get, update, delete, copy."""

from functools import partial
from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.pagination import Listing, envelope, is_pinned_time_key, read_cursor
from agent_api.http.preconditions import conditional_write
from agent_api.http.responses import Response, created, no_content, ok
from db.branches import forks
from db.conversations import conversation_deletion, conversation_lists, conversations
from db.engine import autocommit, reading, transaction
from db.organising import reading as reading_state

_CLEARABLE = frozenset({"model", "agent_id", "metadata"})
_UPDATABLE = _CLEARABLE | {"title", "is_private", "archived", "pinned", "tags"}
_ARCHIVED = {"true": True, "false": False, "all": None}


def list_conversations(
    principal: Principal,
    limit: int,
    offset: int,
    order_by: str,
    order: str,
    archived: str,
    pinned: bool | None,
    tag: str | None,
    source: str | None,
    agent_id: str | None,
    shared: bool | None,
    cursor: str | None,
) -> Response:
    listing = Listing(f"conversations {order_by} {order}", principal.user_id)
    after = read_cursor(cursor, listing=listing, offset=offset, is_key=is_pinned_time_key)
    with reading() as connection:
        page = conversation_lists.select_page(
            connection,
            user_id=principal.user_id,
            limit=limit,
            offset=offset,
            order_by=order_by,
            order=order,
            archived=_ARCHIVED[archived],
            pinned=pinned,
            tag=tag,
            source=source,
            agent_id=agent_id,
            shared=shared,
            after=after,
        )
    return ok(envelope("conversations", page, limit=limit, offset=offset, listing=listing))


def create_conversation(principal: Principal, body: dict[str, Any]) -> Response:
    with autocommit() as connection:
        conversation_id, conversation = conversations.insert(
            connection,
            user_id=principal.user_id,
            title=body.get("title"),
            source=body.get("source"),
            model=body.get("model"),
            agent_id=body.get("agent_id"),
            is_private=bool(body.get("is_private")),
            metadata=body.get("metadata"),
        )
    return created(conversation, f"/conversations/{conversation_id}")


def get_conversation(
    principal: Principal,
    conversation_id: str,
    include_messages: bool,
    message_limit: int,
    message_offset: int,
) -> Response:
    row = {"conversation_id": conversation_id, "user_id": principal.user_id}
    with reading() as connection:
        if not include_messages:
            return ok(conversations.select_one(connection, **row))
        conversation, messages = conversations.select_with_messages(
            connection, **row, limit=message_limit, offset=message_offset
        )
    return ok(conversation, messages=messages)


def update_conversation(
    principal: Principal, conversation_id: str, body: dict[str, Any], if_match: str | None
) -> Response:
    """Change the properties in `body`. Null clears optional ones, not others."""
    changes = {
        name: value
        for name, value in body.items()
        if name in _UPDATABLE and (value is not None or name in _CLEARABLE)
    }
    row = {"conversation_id": conversation_id, "user_id": principal.user_id}
    lock = partial(conversations.lock, allows=conversations.allows(changes))
    with conditional_write(if_match, lock, **row) as connection:
        conversation = conversations.update(connection, **row, changes=changes)
    return ok(conversation)


def delete_conversation(
    principal: Principal, conversation_id: str, if_match: str | None
) -> Response:
    row = {"conversation_id": conversation_id, "user_id": principal.user_id}
    with conditional_write(if_match, conversations.lock, True, **row) as connection:
        conversation_deletion.delete(connection, **row)
    return no_content()


def mark_conversation_read(
    principal: Principal, conversation_id: str, body: dict[str, Any] | None
) -> Response:
    given = body or {}
    with autocommit() as connection:
        conversation = reading_state.update(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            position=given.get("position"),
            message_id=given.get("message_id"),
        )
    return ok(conversation)


def fork_conversation(
    principal: Principal, conversation_id: str, body: dict[str, Any] | None
) -> Response:
    given = body or {}
    with transaction() as connection:
        fork_id, conversation = forks.insert(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            up_to=given.get("up_to"),
            title=given.get("title"),
        )
    return created(conversation, f"/conversations/{fork_id}")
