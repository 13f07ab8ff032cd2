"""Changes what a conversation shows of its active path: counts, the last message, what is unread.

Members of the conversation are told in the same transaction.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from db import access
from db.branches import members, unread
from db.change_log import recording
from db.characters import cut
from db.documents import CONVERSATION, Row, utc
from db.engine import Connection
from db.engine.statement import Statement
from db.models import PREVIEW_CHARACTERS, Id, Moment, conversations, messages, new_id
from db.sharing import telling

BRANCH_ACTIVATED = "conversation.branch_activated"
MESSAGE_DELETED = "message.deleted"

_c = conversations.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_this = sa.and_(_c.id == _conversation, access.CONVERSATION)


class Locked(NamedTuple):
    """A conversation before a change."""

    message_count: int
    last_position: int
    read_position: int
    unread_count: int
    was_shared: bool


_lock = Statement(
    sa.select(*(_c[name] for name in Locked._fields)).where(_this).with_for_update(key_share=True)
)
# One code point more than the preview shows whether the last character ends there.
_start = sa.func.substr(messages.c.content, 1, PREVIEW_CHARACTERS + 1)
_select_last = Statement(
    sa.select(messages.c.role, _start, utc(messages.c.created_at), messages.c.id)
    .where(messages.c.conversation_id == _conversation, access.MESSAGE, messages.c.active)
    .order_by(messages.c.position.desc())
    .limit(1)
)
_NUMBERS = ("message_count", "read_position", "unread_count")


@functools.cache
def _update(change: str) -> Statement:
    values: dict[str, Any] = {
        name: sa.bindparam(f"new_{name}", type_=_c[name].type)
        for name in (*_NUMBERS, "last_message_role", "last_message_content", "last_message_id")
    }
    values["last_message_known_at"] = _c.last_position
    # updated_at stays: the conversation keeps its place in lists, and later messages their order.
    values["last_message_at"] = sa.cast(sa.bindparam("last_at", type_=sa.Text), Moment)
    resource: sa.ColumnElement[Any] = _c.id
    if change == MESSAGE_DELETED:
        resource = sa.bindparam("of_message", type_=Id)
    record = recording.insertion_for(
        change,
        conversations,
        where=[_this],
        at=recording.time_after(_c.updated_at),
        conversation_id=_c.id,
        resource_id=resource,
    )
    update = sa.update(conversations).where(_this).values(values)
    return Statement(record, update.returning(*CONVERSATION.columns))


def lock(connection: Connection, values: Mapping[str, Any], *, allows: str | None) -> Locked:
    """Lock a conversation until the transaction ends.

    Raises Missing and Denied, and Granted for members who may do what `allows` names.
    """
    row = _lock.row(connection, values)
    if row is None:
        access.refuse(
            connection,
            "conversation",
            row_id=values["of_conversation"],
            user_id=values["acting_user"],
            allows=allows,
        )
    return Locked(*row)


def update(
    connection: Connection,
    values: Mapping[str, Any],
    locked: Locked,
    *,
    change: str,
    before: Sequence[int],
    after: Sequence[int],
) -> Row:
    """Store what follows from a new active path, and tell everyone; return the conversation's row.

    `before` and `after` are the positions of the active messages, without those of their common
    beginning. `values` name the conversation, and the message that was deleted.
    """
    last = _select_last.row(connection, values)
    role, start, at, last_id = last or (None, None, None, None)
    read_position, unread_count = unread.count(
        read_position=locked.read_position,
        unread_count=locked.unread_count,
        before=before,
        after=after,
    )
    new = {
        "change_id": new_id(),
        "new_message_count": locked.message_count - len(before) + len(after),
        "new_read_position": read_position,
        "new_unread_count": unread_count,
        "new_last_message_role": role,
        "new_last_message_content": start and cut(start, PREVIEW_CHARACTERS),
        "last_at": at and f"{at}+00",
        "new_last_message_id": last_id,
    }
    row: Row = _update(change).row(connection, {**values, **new})
    recording.announce(connection, values["acting_user"])
    if locked.was_shared:
        _tell(connection, values, change, before, after)
    return row


def _tell(
    connection: Connection,
    values: Mapping[str, Any],
    change: str,
    before: Sequence[int],
    after: Sequence[int],
) -> None:
    roles = telling.select_members(
        connection, conversation_id=values["of_conversation"], owner_id=values["acting_user"]
    )
    telling.check_role(roles)
    members.tell(connection, list(roles), values, change, before=before, after=after)
