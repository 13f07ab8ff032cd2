"""Copies a path of a conversation's messages to a new conversation of the user.

A member reads the messages as their owner, after the membership was found. The transaction has one
role, that of users, because it stores the copy together with the response for an idempotency key.
"""

import orjson
import sqlalchemy as sa
from msgspec import Raw
from msgspec.json import Decoder

from db import access
from db.branches import copies, rows
from db.branches.copies import PROPERTIES, Copied
from db.branches.posting import NOT_A_MESSAGE
from db.documents import utc
from db.engine import Connection
from db.engine.statement import Statement
from db.errors import Invalid
from db.messages.message_documents import MESSAGE
from db.models import Id, conversations, messages
from db.paging.row_page import MAX_BYTES
from db.sharing import memberships

MAX_MESSAGES = 5_000
TOO_LONG = f"has more than {MAX_MESSAGES:,} messages or 16 MiB: name an earlier message"

_m = messages.c
_c = conversations.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_message = sa.bindparam("of_message", type_=Id)
_this = sa.and_(_c.id == _conversation, access.CONVERSATION)
_in_conversation = sa.and_(_m.conversation_id == _conversation, access.MESSAGE)

_select_source = Statement(sa.select(*(_c[name] for name in PROPERTIES)).where(_this))


_read_object = Decoder(dict[str, Raw]).decode


def _path() -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Return the conditions for the active path, and for the path to a message."""
    above = rows.above(_message)
    last_active = sa.select(sa.func.max(above.c.position)).where(above.c.active)
    to_message = sa.or_(
        sa.and_(_m.active, _m.position <= last_active.scalar_subquery()),
        _m.id.in_(sa.select(above.c.id)),
    )
    return _m.active, to_message


_columns = [utc(_m[name]) if name == "created_at" else _m[name] for name in Copied._fields]
_select_size, _select_messages = (
    [Statement(sa.select(*columns).where(_in_conversation, path)) for path in _path()]
    for columns in (
        [sa.func.count(), sa.func.sum(MESSAGE.size)],
        [_m.position, *_columns],
    )
)


def insert(
    connection: Connection,
    *,
    conversation_id: str,
    user_id: str,
    up_to: str | None = None,
    title: str | None = None,
) -> tuple[str, bytes]:
    """Copy the active path, or the path to a message; return the new id and document.

    It needs a transaction. Raises Missing and Denied for the conversation, and Invalid.
    """
    values = {"of_conversation": conversation_id, "acting_user": user_id}
    source = _select_source.row(connection, values)
    if source is None:
        found = memberships.select_one(
            connection, conversation_id=conversation_id, member_id=user_id
        )
        if found is None:
            access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
        values["acting_user"] = found.owner_id
        source = _select_source.row(connection, values)
    if source is None:
        access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
    copied = _read(connection, values, up_to)
    properties = dict(zip(PROPERTIES, source, strict=True))
    if title is not None:
        properties |= {"title": title, "auto_title": False}
    last_id = copied[-1].id if copied else None
    forked_from = {"conversation_id": conversation_id, "message_id": last_id}
    # The others keep their spelling, such as that of a number.
    others = _read_object(properties["metadata"] or "{}")
    metadata = {name: orjson.Fragment(bytes(value)) for name, value in others.items()}
    properties["metadata"] = {**metadata, "forked_from": forked_from}
    return copies.insert(connection, user_id=user_id, properties=properties, copied=copied)


def _read(connection: Connection, values: dict[str, str], up_to: str | None) -> list[Copied]:
    """Return the messages to copy, oldest first."""
    values = {**values, "of_message": up_to or ""}
    which = 0 if up_to is None else 1
    if up_to is not None and rows.select_place(connection, values, up_to) is None:
        raise Invalid("up_to", NOT_A_MESSAGE)
    count, size = _select_size[which].row(connection, values)
    if count > MAX_MESSAGES or (size or 0) > MAX_BYTES:
        raise Invalid("up_to", TOO_LONG)
    found = _select_messages[which].rows(connection, values)
    return [Copied(*row[1:]) for row in sorted(found)]
