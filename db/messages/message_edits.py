"""Changes messages, and keeps each of their versions in `message_versions`.

A message without edits has no row there. Its first edit adds two: what it said, and what it says.
"""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from db import access
from db.change_log import recording
from db.characters import cut
from db.documents import Row, time, utc
from db.engine import Connection, current_membership
from db.engine.statement import Statement
from db.errors import Denied
from db.messages import message_details
from db.messages.message_details import Details
from db.messages.message_documents import MESSAGE
from db.models import (
    PREVIEW_CHARACTERS,
    Id,
    Moment,
    conversations,
    message_versions,
    messages,
    new_id,
)
from db.search import index
from db.sharing import telling

_c = messages.c
_this = sa.and_(_c.id == sa.bindparam("this_id", type_=Id), access.MESSAGE)
_conversation = sa.bindparam("of_conversation", type_=Id)
_this_conversation = sa.and_(conversations.c.id == _conversation, access.CONVERSATION)
_at = sa.cast(sa.bindparam("at", type_=sa.Text), Moment)

_select_conversation = Statement(sa.select(_c.conversation_id).where(_this))


def _lock_both() -> Statement:
    """Return the statements that lock a conversation and read its message and the time.

    All who change a message lock its conversation first, so the message needs no lock of its own.
    """
    lock = sa.select(conversations.c.id).where(_this_conversation)
    last_edit = sa.select(sa.func.max(message_versions.c.created_at)).where(
        message_versions.c.message_id == _c.id, access.MESSAGE_VERSION
    )
    # The time after the wait for the lock, so that the times of versions have their order.
    now = sa.func.greatest(
        sa.func.clock_timestamp(),
        recording.microsecond_after(_c.created_at),
        recording.microsecond_after(last_edit.scalar_subquery()),
    )
    message = sa.select(*MESSAGE.columns, utc(now), telling.UNSHARED)
    return Statement(lock.with_for_update(key_share=True), message.where(_this, _this_conversation))


_lock = _lock_both()


def _insert_version(version: str, author: str, at: sa.ColumnElement[Any]) -> sa.Insert:
    """Return the statement that stores what a message says now as one of its versions."""
    columns: dict[str, sa.ColumnElement[Any]] = {
        "message_id": _c.id,
        "version": sa.bindparam(version, type_=sa.Integer),
        "author_id": sa.bindparam(author, type_=sa.String),
        "parts": _c.details["parts"],
        "created_at": at,
        **{name: _c[name] for name in ("user_id", "conversation_id", "content", "metadata")},
    }
    rows = sa.select(*columns.values()).where(_this)
    return sa.insert(message_versions).from_select(list(columns), rows)


@functools.cache
def _update(changed: frozenset[str], *, is_first: bool) -> Statement:
    """Return the statements for the first edit of a message, or for a later one."""
    values = {name: sa.bindparam(f"new_{name}", type_=_c[name].type) for name in sorted(changed)}
    record = recording.insertion(
        "message.updated",
        at=_at,
        conversation_id=_conversation,
        resource_id=sa.bindparam("this_id", type_=Id),
    )
    statements: list[sa.ClauseElement] = [record]
    if is_first:
        statements.append(_insert_version("old_version", "old_author", _c.created_at))
    statements.append(sa.update(messages).where(_this).values(values))
    statements.append(_insert_version("new_version", "new_author", _at))
    if "content" in changed:
        # The times of a conversation's messages differ, so they tell which one is the last.
        preview = (
            sa.update(conversations)
            .where(_this_conversation, _this, conversations.c.last_message_at == _c.created_at)
            .values(last_message_content=sa.bindparam("preview"))
        )
        statements.append(preview)
    return Statement(*statements, sa.select(*MESSAGE.columns).where(_this))


class _Message(NamedTuple):
    """A message whose conversation is locked."""

    row: Row
    details: Details
    now: str
    is_unshared: bool
    """Whether the conversation was never shared."""

    @property
    def columns(self) -> dict[str, Any]:
        """Return the values of the row, and `parts`, which are in its details."""
        columns = dict(zip(MESSAGE.names, self.row, strict=True))
        return columns | {"parts": bytes(self.details.parts) or None}


def lock(connection: Connection, *, message_id: str, user_id: str) -> bytes:
    """Lock a message's conversation until the transaction ends; return the message's document.

    Raises Missing, Denied and Granted.
    """
    return MESSAGE.write(_locked(connection, message_id, user_id).row)


def update(
    connection: Connection, *, message_id: str, user_id: str, changes: Mapping[str, Any]
) -> bytes:
    """Change content, parts or metadata, which makes a new version; return the document.

    Equal values make no version. It needs a transaction. Raises Missing, Denied and Granted.
    """
    message = _locked(connection, message_id, user_id)
    before, details = message.columns, message.details
    new = {name: each for name, each in changes.items() if not _is_equal(before[name], each)}
    if not new:
        return MESSAGE.write(message.row)
    membership = current_membership()
    conversation_id = before["conversation_id"]
    parts = (
        new.pop("parts") if "parts" in new else before["parts"] and orjson.loads(before["parts"])
    )
    new["details"] = message_details.write(
        author=details.author,
        parts=parts,
        version=details.version + 1,
        edited_at=time(message.now),
    )
    values = {
        "acting_user": user_id,
        "this_id": message_id,
        "of_conversation": conversation_id,
        "change_id": new_id(),
        "at": f"{message.now}+00",
        "old_version": details.version,
        "old_author": details.author,
        "new_version": details.version + 1,
        "new_author": membership.member_id if membership else None,
        "preview": cut(new.get("content", ""), PREVIEW_CHARACTERS),
        **{f"new_{name}": value for name, value in new.items()},
    }
    row = _update(frozenset(new), is_first=details.version == 1).row(connection, values)
    if "content" in new:
        index.update(
            connection,
            conversation_id=conversation_id,
            message_id=message_id,
            user_id=user_id,
            content=new["content"],
        )
    recording.announce(connection, user_id)
    if not message.is_unshared:
        telling.tell_of_message_update(
            connection, conversation_id=conversation_id, owner_id=user_id, message_id=message_id
        )
    return MESSAGE.write(row)


def _locked(connection: Connection, message_id: str, user_id: str) -> _Message:
    """Lock the conversation of a message, and read the message.

    Members may change only what they have posted.
    """
    values: dict[str, Any] = {"this_id": message_id, "acting_user": user_id}
    values["of_conversation"] = _select_conversation.scalar(connection, values)
    found = None
    if values["of_conversation"] is not None:
        found = _lock.row(connection, values)
    if found is None:
        access.refuse(
            connection, "message", row_id=message_id, user_id=user_id, allows=access.WRITE
        )
    *row, now, is_unshared = found
    details = message_details.read(row[MESSAGE.names.index("details")] or b"{}")
    membership = current_membership()
    if membership is not None:
        if details.author != membership.member_id:
            raise Denied("message")
        members = telling.select_members(
            connection, conversation_id=values["of_conversation"], owner_id=user_id
        )
        telling.check_role(members)
    return _Message(row, details, now, is_unshared)


def _is_equal(stored: str | bytes | None, new: Any) -> bool:
    """Return whether a column, as it is stored, has a value.

    JSON is compared as text: in Python, true equals 1, and the order of keys does not count.
    """
    if stored is None or new is None or isinstance(new, str):
        return bool(stored == new)
    return orjson.dumps(orjson.loads(stored)) == orjson.dumps(new)
