"""Messages: list, create, get, update, delete, and the branch that is active."""

from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.pagination import Listing, envelope, is_position_key, read_cursor
from agent_api.http.preconditions import conditional_write
from agent_api.http.responses import Response, created, no_content, ok
from db.branches import activation, deletion
from db.engine import autocommit, reading, transaction
from db.messages import message_body, message_edits, messages

_CLEARABLE = frozenset({"parts", "metadata"})


def list_messages(
    principal: Principal,
    conversation_id: str,
    limit: int,
    offset: int,
    order: str,
    branches: str,
    cursor: str | None,
) -> Response:
    all_branches = branches == "all"
    name = f"messages of {conversation_id} {order}{' all' if all_branches else ''}"
    listing = Listing(name, principal.caller_id)
    after = read_cursor(cursor, listing=listing, offset=offset, is_key=is_position_key)
    with reading() as connection:
        page = messages.select_page(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            limit=limit,
            offset=offset,
            order=order,
            all_branches=all_branches,
            after=after,
        )
    return ok(envelope("messages", page, limit=limit, offset=offset, listing=listing))


def create_message(principal: Principal, conversation_id: str, body: dict[str, Any]) -> Response:
    with transaction() if message_body.needs_transaction(body) else autocommit() as connection:
        message_id, message = messages.insert(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            **message_body.read(body),
        )
    return created(message, f"/messages/{message_id}")


def get_message(principal: Principal, message_id: str) -> Response:
    with reading() as connection:
        message = messages.select_one(connection, message_id=message_id, user_id=principal.user_id)
    return ok(message)


def update_message(
    principal: Principal, message_id: str, body: dict[str, Any], if_match: str | None
) -> Response:
    """Change the properties in `body`. Null clears parts and metadata, not content."""
    changes = {name: body[name] for name in _CLEARABLE & body.keys()}
    if body.get("content") is not None:
        changes["content"] = body["content"]
    row = {"message_id": message_id, "user_id": principal.user_id}
    with conditional_write(if_match, message_edits.lock, True, **row) as connection:
        message = message_edits.update(connection, **row, changes=changes)
    return ok(message)


def delete_message(principal: Principal, message_id: str, if_match: str | None) -> Response:
    row = {"message_id": message_id, "user_id": principal.user_id}
    with conditional_write(if_match, deletion.lock, True, **row) as connection:
        deletion.delete(connection, **row)
    return no_content()


def activate_message(principal: Principal, conversation_id: str, body: dict[str, Any]) -> Response:
    with transaction() as connection:
        conversation = activation.activate(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            message_id=body["message_id"],
        )
    return ok(conversation)
