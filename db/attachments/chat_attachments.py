"""Queries for chat attachments, the records of files that clients store elsewhere."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from db import access
from db.attachments import attachment_links
from db.change_log import recording
from db.documents import CHAT_ATTACHMENT
from db.engine import Connection
from db.engine.statement import Statement
from db.execution import turns
from db.models import Id, chat_attachments, new_id
from db.paging import page
from db.paging.page import Page, TimePage

_c = chat_attachments.c
_this = _c.id == sa.bindparam("this_id", type_=Id)
_columns = CHAT_ATTACHMENT.columns
_CONVERSATION = CHAT_ATTACHMENT.names.index("conversation_id")
_MESSAGE = CHAT_ATTACHMENT.names.index("message_id")

_one = sa.select(*_columns).where(_this, access.ATTACHMENT)
_select_one = Statement(_one)
_select_conversation = Statement(sa.select(_c.conversation_id).where(_this, access.ATTACHMENT))
_lock = Statement(
    _one.where(
        _c.conversation_id.is_not_distinct_from(sa.bindparam("in_conversation", type_=Id))
    ).with_for_update()
)
_new_id = sa.bindparam("new_id", type_=Id)
_NEW = (
    *("filename", "file_url", "mime_type", "size_bytes", "added_to_library"),
    *("library_document_id", "parsed_content"),
)
_insert = Statement(
    recording.insertion("chat_attachment.created", resource_id=_new_id, at=sa.func.now()),
    sa.insert(chat_attachments)
    .values(
        {
            "id": _new_id,
            "user_id": sa.bindparam("acting_user", type_=sa.String),
            **{name: sa.bindparam(f"new_{name}", type_=_c[name].type) for name in _NEW},
        }
    )
    .returning(*_columns),
)
_delete = Statement(
    recording.insertion_for(
        "chat_attachment.deleted",
        chat_attachments,
        where=[_this, access.ATTACHMENT],
        at=sa.func.statement_timestamp(),
        conversation_id=_c.conversation_id,
        resource_id=_c.id,
    ),
    sa.delete(chat_attachments).where(_this, access.ATTACHMENT),
)


@functools.cache
def _select_page(filters: frozenset[str], order: str, *, resumed: bool, counted: bool) -> TimePage:
    return TimePage(
        CHAT_ATTACHMENT,
        access=access.ATTACHMENT,
        filters=filters,
        order_by="created_at",
        order=order,
        resumed=resumed,
        counted=counted,
    )


def select_page(
    connection: Connection,
    *,
    user_id: str,
    limit: int,
    offset: int = 0,
    order: str = "desc",
    added_to_library: bool | None = None,
    conversation_id: str | None = None,
    after: list[Any] | None = None,
) -> Page:
    """Return a page of the user's attachments. Keys are [created_at, id, total]."""
    filters = page.given(added_to_library=added_to_library, conversation_id=conversation_id)
    query = _select_page(
        frozenset(filters), order, resumed=after is not None, counted=page.needs_total(after)
    )
    values = {"acting_user": user_id, **filters}
    return query.read(connection, values, limit=limit, offset=offset, after=after)


def select_one(connection: Connection, *, attachment_id: str, user_id: str) -> bytes:
    """Return an attachment's document. Raises Missing and Denied."""
    row = _select_one.row(connection, {"this_id": attachment_id, "acting_user": user_id})
    if row is None:
        access.refuse(connection, "attachment", row_id=attachment_id, user_id=user_id)
    return CHAT_ATTACHMENT.write(row)


def insert(
    connection: Connection,
    *,
    user_id: str,
    filename: str,
    file_url: str,
    mime_type: str | None = None,
    size_bytes: int | None = None,
    added_to_library: bool = False,
    library_document_id: str | None = None,
    parsed_content: str | None = None,
) -> tuple[str, bytes]:
    """Create an attachment of no message; return its id and its document."""
    attachment_id = new_id()
    row = _insert.row(
        connection,
        {
            "acting_user": user_id,
            "change_id": new_id(),
            "new_id": attachment_id,
            "new_filename": filename,
            "new_file_url": file_url,
            "new_mime_type": mime_type,
            "new_size_bytes": size_bytes,
            "new_added_to_library": added_to_library,
            "new_library_document_id": library_document_id,
            "new_parsed_content": parsed_content,
        },
    )
    recording.announce(connection, user_id)
    return attachment_id, CHAT_ATTACHMENT.write(row)


def lock(connection: Connection, *, attachment_id: str, user_id: str) -> bytes:
    """Lock an attachment, after the conversation of its message; return its document.

    It needs a transaction. Raises Missing and Denied.
    """
    return CHAT_ATTACHMENT.write(_locked(connection, attachment_id, user_id))


def delete(connection: Connection, *, attachment_id: str, user_id: str) -> None:
    """Delete an attachment, also from what its message shows.

    It needs a transaction. Raises Missing and Denied.
    """
    row = _locked(connection, attachment_id, user_id)
    values = {"this_id": attachment_id, "acting_user": user_id, "change_id": new_id()}
    _delete.rowcount(connection, values)
    recording.announce(connection, user_id)
    if row[_MESSAGE] is not None:
        attachment_links.remove(
            connection,
            attachment_id=attachment_id,
            message_id=row[_MESSAGE],
            conversation_id=row[_CONVERSATION],
            user_id=user_id,
        )


def _locked(connection: Connection, attachment_id: str, user_id: str) -> Sequence[Any]:
    """Lock the conversation, if there is one, and then the attachment; return its row."""
    values = {"this_id": attachment_id, "acting_user": user_id}
    # A message may get the attachment between the two statements, but only once.
    row = _try_lock(connection, values) or _try_lock(connection, values)
    if row is None:
        access.refuse(connection, "attachment", row_id=attachment_id, user_id=user_id)
    return row


def _try_lock(connection: Connection, values: Mapping[str, Any]) -> Sequence[Any] | None:
    """Return the locked row, or None if its conversation was not the one that is locked."""
    found = _select_conversation.row(connection, values)
    if found is None:
        return None
    (conversation_id,) = found
    if conversation_id is not None:
        turns.lock_conversation(
            connection, conversation_id=conversation_id, user_id=values["acting_user"]
        )
    row: Sequence[Any] | None = _lock.row(
        connection, {**values, "in_conversation": conversation_id}
    )
    return row
