"""Writes the snapshot of a conversation that a public link shows.

It contains what users and assistants said on the active path, and nothing that names a user, a run
or a row. Messages of the role `system` are instructions, which strangers must not read.
"""

from collections.abc import Sequence
from typing import Any

import orjson
import sqlalchemy as sa
from msgspec import Struct

from db import access
from db.documents import bytes_of, time, to_json, utc
from db.engine import Connection, bridge
from db.engine.statement import Statement
from db.errors import SnapshotTooLarge
from db.models import Id, conversations, messages

MAX_BYTES = 4 * 1024 * 1024
"""The maximum size of the texts of a snapshot. Everyone with the link can request it."""
BYTES_PER_MESSAGE = 128
"""What a message counts in addition to its texts."""
FILE = ("filename", "mime_type", "size_bytes", "file_url")
"""The properties of an attachment that a snapshot shows."""

_c = messages.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_of_path = sa.and_(
    _c.conversation_id == _conversation,
    access.MESSAGE,
    _c.active,
    _c.role != sa.literal_column("'system'"),
)
_select_size = Statement(
    sa.select(
        sa.func.sum(
            sa.func.octet_length(_c.content)
            + sa.func.coalesce(bytes_of(_c.chat_attachments), 0)
            + sa.literal_column(str(BYTES_PER_MESSAGE))
        )
    ).where(_of_path)
)
_select_title = Statement(
    sa.select(conversations.c.title).where(conversations.c.id == _conversation, access.CONVERSATION)
)
_select_messages = Statement(
    sa.select(_c.role, _c.content, utc(_c.created_at), _c.chat_attachments)
    .where(_of_path)
    .order_by(_c.position)
)


class _Message(Struct, gc=False):
    role: str
    content: str
    created_at: str
    attachments: list[dict[str, Any]]


class _Snapshot(Struct, gc=False):
    title: str
    shared_at: str
    expires_at: str | None
    messages: list[_Message]


def take(
    connection: Connection,
    *,
    conversation_id: str,
    user_id: str,
    with_attachments: bool,
    shared_at: str,
    expires_at: str | None,
) -> bytes:
    """Return the snapshot of a conversation, which the caller has locked, as JSON.

    The times are RFC 3339. Raises SnapshotTooLarge.
    """
    values = {"of_conversation": conversation_id, "acting_user": user_id}
    size = _select_size.scalar(connection, values) or 0
    if size > MAX_BYTES:
        raise SnapshotTooLarge(MAX_BYTES >> 20)
    title = _select_title.scalar(connection, values)
    rows = _select_messages.rows(connection, values)

    def write() -> bytes:
        found = [_message(row, with_attachments) for row in rows]
        return to_json(_Snapshot(title, shared_at, expires_at, found))

    return bridge.off_loop(int(size), write)


def _message(row: Sequence[Any], with_attachments: bool) -> _Message:
    role, content, created_at, files = row
    shown = orjson.loads(files) if files and with_attachments else []
    attachments = [{name: file[name] for name in FILE} for file in shown]
    return _Message(role, content, time(created_at), attachments)
