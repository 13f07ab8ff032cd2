"""Chat attachments: list, create, get, delete."""

from typing import Any

from agent_api.auth.principal import Principal
from agent_api.http.pagination import Listing, envelope, is_time_key, read_cursor
from agent_api.http.preconditions import conditional_write
from agent_api.http.responses import Response, created, no_content, ok
from db.attachments import chat_attachments
from db.engine import autocommit, reading


def list_chat_attachments(
    principal: Principal,
    limit: int,
    offset: int,
    order: str,
    added_to_library: bool | None,
    conversation_id: str | None,
    cursor: str | None,
) -> Response:
    listing = Listing(f"chat_attachments {order}", principal.user_id)
    after = read_cursor(cursor, listing=listing, offset=offset, is_key=is_time_key)
    with reading() as connection:
        page = chat_attachments.select_page(
            connection,
            user_id=principal.user_id,
            limit=limit,
            offset=offset,
            order=order,
            added_to_library=added_to_library,
            conversation_id=conversation_id,
            after=after,
        )
    return ok(envelope("chat_attachments", page, limit=limit, offset=offset, listing=listing))


def create_chat_attachment(principal: Principal, body: dict[str, Any]) -> Response:
    with autocommit() as connection:
        attachment_id, attachment = chat_attachments.insert(
            connection,
            user_id=principal.user_id,
            filename=body["filename"],
            file_url=body["file_url"],
            mime_type=body.get("mime_type"),
            size_bytes=body.get("size_bytes"),
            added_to_library=bool(body.get("added_to_library")),
            library_document_id=body.get("library_document_id"),
            parsed_content=body.get("parsed_content"),
        )
    return created(attachment, f"/chat-attachments/{attachment_id}")


def get_chat_attachment(principal: Principal, attachment_id: str) -> Response:
    row = {"attachment_id": attachment_id, "user_id": principal.user_id}
    with reading() as connection:
        return ok(chat_attachments.select_one(connection, **row))


def delete_chat_attachment(
    principal: Principal, attachment_id: str, if_match: str | None
) -> Response:
    row = {"attachment_id": attachment_id, "user_id": principal.user_id}
    with conditional_write(if_match, chat_attachments.lock, True, **row) as connection:
        chat_attachments.delete(connection, **row)
    return no_content()
