"""Queries for memberships: the conversations that are shared with a user.

All of them act as the member, also if the owner shares a conversation or writes to it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as sa_insert

from db import engine
from db.change_log import recording
from db.documents import MemberView
from db.engine import Connection, current_grant
from db.engine.statement import Statement
from db.models import Id, Moment, memberships, new_id

_c = memberships.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_USER = sa.bindparam("acting_user", type_=sa.String)
_this = sa.and_(_c.conversation_id == _conversation, _c.user_id == _USER)


class Membership(NamedTuple):
    """The owner of a conversation, and what the member may do with it: viewer or editor."""

    owner_id: str
    role: str
    archived: bool
    pinned: bool
    tags: list[str]
    unread_count: int

    @property
    def view(self) -> MemberView:
        """Return what the member sees instead of the owner's values."""
        return MemberView(*self[1:])


_ALL = [_c[name] for name in Membership._fields]


def _record(change: str) -> sa.Insert:
    # Writers of a conversation have locked it, so these times have the order of its changes.
    return recording.insertion(
        change,
        conversation_id=_conversation,
        resource_id=_conversation,
        at=sa.func.statement_timestamp(),
    )


def _moment(name: str) -> sa.ColumnElement[Any]:
    return sa.cast(sa.bindparam(name, type_=sa.Text), Moment)


def _upsert(change: str) -> Statement:
    columns: dict[str, sa.ColumnElement[Any]] = {
        "conversation_id": _conversation,
        "user_id": _USER,
        **{name: _moment(f"new_{name}") for name in ("shared_at", "created_at", "updated_at")},
        **{
            name: sa.bindparam(f"new_{name}", type_=_c[name].type)
            for name in ("owner_id", "share_id", "role", "source", "agent_id", "unread_count")
        },
    }
    row = sa_insert(memberships).values(columns)
    replaced = {
        name: row.excluded[name]
        for name in columns.keys() - {"conversation_id", "user_id", "unread_count"}
    }
    keys = [_c.conversation_id, _c.user_id]
    return Statement(_record(change), row.on_conflict_do_update(index_elements=keys, set_=replaced))


def or_membership(
    own: sa.Select[Any], conversation_id: sa.ColumnElement[Any]
) -> sa.CompoundSelect[Any]:
    """Return the caller's own row or, without one, a membership.

    Own rows have null in the last column, and others text for `split`: owners do not pay for
    several columns. PostgreSQL looks for a membership only if it finds no own row, because of the
    limit. But it always plans both: see `is_found_as_well`.
    """
    columns: list[sa.ColumnElement[Any]] = [*(sa.null() for _ in own.selected_columns)]
    membership = sa.cast(sa.func.json_build_array(*_ALL), sa.Text)
    found = sa.select(*columns, membership).where(
        _c.conversation_id == conversation_id, _c.user_id == _USER
    )
    own = own.add_columns(sa.null().label("membership"))
    either: sa.CompoundSelect[Any] = sa.union_all(own, found)
    return either.limit(sa.literal_column("1"))


def is_found_as_well(connection: Connection) -> bool:
    """Return whether to use `or_membership` instead of a statement that finds only own rows.

    Where statements are not prepared, the second plan would double the cost of an owner's read.
    Without an own row, `access.refuse` looks for a membership.
    """
    return current_grant() is None and engine.prepares(connection)


def split(row: Sequence[Any]) -> tuple[Sequence[Any], Membership | None]:
    """Return the columns of `own` and the membership in a row of `or_membership`."""
    *own, text = row
    return own, None if text is None else Membership(*orjson.loads(text))


_select_one = Statement(sa.select(*_ALL).where(_this))
_select_some = Statement(
    sa.select(_c.conversation_id, *_ALL).where(
        _c.conversation_id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(Id))),
        _c.user_id == _USER,
    )
)
_insert = _upsert("conversation.created")
_update = _upsert("conversation.updated")
# Sent before the deletion, so that its time is after the member's changes that it waits for.
_lock = Statement(sa.select(_c.conversation_id).where(_this).with_for_update())
_delete = Statement(_record("conversation.deleted"), sa.delete(memberships).where(_this))


def select_one(
    connection: Connection, *, conversation_id: str, member_id: str
) -> Membership | None:
    """Return the user's membership in a conversation, or None."""
    values = {"of_conversation": conversation_id, "acting_user": member_id}
    row = _select_one.row(connection, values)
    return None if row is None else Membership(*row)


def select_some(
    connection: Connection, *, conversation_ids: Sequence[str], member_id: str
) -> dict[str, Membership]:
    """Return the user's memberships in some conversations, by conversation."""
    values = {"ids": list(conversation_ids), "acting_user": member_id}
    return {row_id: Membership(*row) for row_id, *row in _select_some.rows(connection, values)}


def upsert(
    connection: Connection,
    *,
    conversation_id: str,
    member_id: str,
    is_new: bool,
    **columns: str | int | None,
) -> None:
    """Store a membership and tell the member. `columns` are the others; times are texts in UTC."""
    statement = _insert if is_new else _update
    values = {"of_conversation": conversation_id, "acting_user": member_id, "change_id": new_id()}
    statement.rowcount(connection, values | {f"new_{name}": v for name, v in columns.items()})
    recording.announce(connection, member_id)


def delete(connection: Connection, *, conversation_id: str, member_id: str) -> None:
    """Delete a membership and tell the member, for whom the conversation is gone."""
    values = {"of_conversation": conversation_id, "acting_user": member_id, "change_id": new_id()}
    _lock.row(connection, values)
    _delete.rowcount(connection, values)
    recording.announce(connection, member_id)
