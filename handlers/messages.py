"""Messages: list, create, get. The first user message names the conversation."""

import re
from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.pagination import Listing, envelope, is_position_key, read_cursor
from agent_api.http.responses import Response, created, ok
from db import messages
from db.characters import cut
from db.engine import autocommit, reading

MAX_TITLE_LENGTH = 60
_WHOLE_WORDS = re.compile(rf".{{1,{MAX_TITLE_LENGTH}}}(?=\s)")


def list_messages(
    principal: Principal,
    conversation_id: str,
    limit: int,
    offset: int,
    order: str,
    cursor: str | None,
) -> Response:
    listing = Listing(f"messages of {conversation_id} {order}", principal.user_id)
    after = read_cursor(cursor, listing=listing, offset=offset, is_key=is_position_key)
    with reading() as connection:
        page = messages.select_page(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            limit=limit,
            offset=offset,
            order=order,
            after=after,
        )
    return ok(envelope("messages", page, limit=limit, offset=offset, listing=listing))


def create_message(principal: Principal, conversation_id: str, body: dict[str, Any]) -> Response:
    with autocommit() as connection:
        message_id, message = messages.insert(
            connection,
            conversation_id=conversation_id,
            user_id=principal.user_id,
            role=body["role"],
            content=body["content"],
            attachments=body.get("attachments"),
            metadata=body.get("metadata"),
            run_id=body.get("run_id"),
            routing_decision=body.get("routing_decision"),
            tool_calls=body.get("tool_calls"),
            title=_title_from(body["content"]) if body["role"] == "user" else None,
        )
    return created(message, f"/messages/{message_id}")


def get_message(principal: Principal, message_id: str) -> Response:
    with reading() as connection:
        message = messages.select_one(connection, message_id=message_id, user_id=principal.user_id)
    return ok(message)


def _title_from(content: str) -> str | None:
    """Return the first line with visible text, or None if all lines are blank.

    Longer lines are cut to MAX_TITLE_LENGTH code points, between words if possible, else between
    characters as readers see them.
    """
    line = next((line.strip() for line in content.splitlines() if _has_visible_text(line)), None)
    if line is None or len(line) <= MAX_TITLE_LENGTH:
        return line
    whole_words = _WHOLE_WORDS.match(line)
    return cut(line, len(whole_words[0].rstrip()) if whole_words else MAX_TITLE_LENGTH)


def _has_visible_text(line: str) -> bool:
    """Tell whether a line has more than spaces, zero-width and control characters."""
    return any(character.isprintable() and not character.isspace() for character in line)
