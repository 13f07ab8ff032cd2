"""Adds attachments to a new message, and removes a deleted one from its message.

Messages have a copy of what they show of their attachments. Both are changed under the lock of the
conversation, and after it. An editor's own attachments are copied to the owner of the conversation,
to whom everything in it belongs.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from db import access
from db.change_log import recording
from db.documents import CHAT_ATTACHMENT, time
from db.engine import Connection, current_grant, current_membership
from db.engine.statement import Statement
from db.errors import Invalid, InvalidItems
from db.execution import turns
from db.models import Id, Moment, chat_attachments, conversations, messages, new_id
from db.paging.row_page import MAX_BYTES
from db.sharing import telling

NOT_YOURS = "does not refer to an attachment of yours"
IN_A_MESSAGE = "belongs to a message already"
REPEATED = "is in the list twice"
TOO_LONG = "have more than 16 MiB of text together: add them to several messages"

SHOWN = CHAT_ATTACHMENT.names[:8]
"""The properties of an attachment that its message shows: all up to its time of creation."""

_SHOWN_COLUMNS = CHAT_ATTACHMENT.columns[: len(SHOWN)]

_c = chat_attachments.c
_ids: sa.BindParameter[Any] = sa.bindparam("ids", type_=sa.ARRAY(Id))
_conversation = sa.bindparam("of_conversation", type_=Id)
_message = sa.bindparam("of_message", type_=Id)
_these = sa.and_(_c.id == sa.any_(_ids), access.ATTACHMENT)
_this_conversation = sa.and_(conversations.c.id == _conversation, access.CONVERSATION)
_this_message = sa.and_(messages.c.id == _message, access.MESSAGE)

_link = Statement(
    sa.select(conversations.c.id).where(_this_conversation).with_for_update(key_share=True),
    # In one order, because two messages may get the same attachments in different orders.
    sa.select(_c.id).where(_these).order_by(_c.id).with_for_update(key_share=True),
    sa.update(chat_attachments)
    .where(_these, _c.message_id.is_(None), _this_conversation)
    .values(message_id=_message, conversation_id=conversations.c.id)
    .returning(*_SHOWN_COLUMNS),
)
_select_existing = Statement(sa.select(_c.id).where(_these))
_unlinked = sa.and_(_these, _c.message_id.is_(None))
_select_size = Statement(sa.select(sa.func.sum(_c.size)).where(_unlinked))
_select_unlinked = Statement(sa.select(*_SHOWN_COLUMNS, _c.parsed_content).where(_unlinked))
_COPIED = ("filename", "file_url", "mime_type", "size_bytes", "parsed_content")
_copy = Statement(
    recording.insertion(
        "chat_attachment.created",
        at=sa.func.statement_timestamp(),
        conversation_id=_conversation,
        resource_id=sa.bindparam("new_id", type_=Id),
    ),
    sa.insert(chat_attachments).values(
        {
            "id": sa.bindparam("new_id", type_=Id),
            "user_id": sa.bindparam("acting_user", type_=sa.String),
            "conversation_id": _conversation,
            "message_id": _message,
            "created_at": sa.cast(sa.bindparam("of_time", type_=sa.Text), Moment),
            **{name: sa.bindparam(f"of_{name}", type_=_c[name].type) for name in _COPIED},
        }
    ),
)
_select_shown = Statement(sa.select(messages.c.chat_attachments).where(_this_message))
_update_shown = Statement(
    recording.insertion_for(
        "message.updated",
        messages,
        where=[_this_message],
        at=sa.func.statement_timestamp(),
        conversation_id=messages.c.conversation_id,
        resource_id=messages.c.id,
    ),
    sa.update(messages)
    .where(_this_message)
    .values(chat_attachments=sa.bindparam("shown", type_=messages.c.chat_attachments.type)),
)


def link(
    connection: Connection,
    *,
    attachment_ids: Sequence[str],
    conversation_id: str,
    message_id: str,
    user_id: str,
) -> list[dict[str, Any]]:
    """Give attachments to a message that is about to be inserted; return what it shows of them.

    It locks the conversation, so it needs a transaction. Raises Missing, Denied and Granted for the
    conversation, and Invalid for attachments that the message cannot have, also for texts of an
    editor that are too long to copy at once, and under a lease.
    """
    membership = current_membership()
    if membership is None and current_grant() is not None:
        raise Invalid("attachment_ids", "cannot be sent with a lease")
    adder = membership.member_id if membership else user_id
    ids = [each.lower() for each in attachment_ids]
    values = {
        "acting_user": user_id,
        "ids": ids,
        "of_conversation": conversation_id,
        "of_message": message_id,
    }
    if membership is None:
        # PostgreSQL updates an attachment once, however often it is in the list.
        linked = {row[0]: _shown(row) for row in _link.rows(connection, values)}
    else:
        linked = _link_copies(connection, values, adder)
    wrong = {index: REPEATED for index, each in enumerate(ids) if each in ids[:index]}
    if wrong or len(linked) < len(ids):
        if not turns.lock_conversation(
            connection, conversation_id=conversation_id, user_id=user_id
        ):
            access.refuse(
                connection,
                "conversation",
                row_id=conversation_id,
                user_id=user_id,
                allows=access.WRITE,
            )
        found = _select_existing.rows(connection, {**values, "acting_user": adder})
        existing = {row_id for (row_id,) in found}
        for index, each in enumerate(ids):
            if each not in linked:
                wrong[index] = IN_A_MESSAGE if each in existing else NOT_YOURS
        raise InvalidItems("attachment_ids", dict(sorted(wrong.items())))
    return [linked[each] for each in ids]


def _link_copies(
    connection: Connection, values: Mapping[str, Any], member_id: str
) -> dict[str, dict[str, Any]]:
    """Copy a member's attachments to the owner; return what the message shows, by their ids."""
    conversation_id, owner_id = values["of_conversation"], values["acting_user"]
    if not turns.lock_conversation(connection, conversation_id=conversation_id, user_id=owner_id):
        return {}
    of_member = {**values, "acting_user": member_id}
    if (_select_size.scalar(connection, of_member) or 0) > MAX_BYTES:
        raise Invalid("attachment_ids", TOO_LONG)
    shown, copies = {}, []
    for *row, parsed_content in _select_unlinked.rows(connection, of_member):
        # The library is the member's, so the copy is in none.
        library = {"added_to_library": False, "library_document_id": None}
        copy = _shown(row) | library | {"id": new_id()}
        shown[row[0]] = copy
        file = copy | {"parsed_content": parsed_content}
        copies.append(
            {**values, "change_id": new_id(), "new_id": copy["id"], "of_time": copy["created_at"]}
            | {f"of_{name}": file[name] for name in _COPIED}
        )
    _copy.execute_each(connection, copies)
    return shown


def remove(
    connection: Connection,
    *,
    attachment_id: str,
    message_id: str,
    conversation_id: str,
    user_id: str,
) -> None:
    """Remove an attachment from what its message shows, and tell the conversation's members.

    The conversation is locked.
    """
    values = {"acting_user": user_id, "of_message": message_id, "change_id": new_id()}
    shown = orjson.loads(_select_shown.scalar(connection, values))
    left = [each for each in shown if each["id"] != attachment_id]
    _update_shown.rowcount(connection, values | {"shown": left or None})
    recording.announce(connection, user_id)
    telling.tell_of_message_update(
        connection, conversation_id=conversation_id, owner_id=user_id, message_id=message_id
    )


def _shown(row: Sequence[Any]) -> dict[str, Any]:
    shown = dict(zip(SHOWN, row, strict=True))
    return shown | {"created_at": time(shown["created_at"])}
