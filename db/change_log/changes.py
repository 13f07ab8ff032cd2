"""Queries for a user's change log."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from db import chat_settings
from db.change_log import change_positions
from db.documents import CHAT_ATTACHMENT, CONVERSATION, Document, time, utc
from db.engine import Connection, bridge
from db.engine.statement import Statement
from db.errors import PositionExpired
from db.messages.message_documents import MESSAGE
from db.models import OWNERS, Id, changes
from db.paging.row_page import MAX_BYTES
from db.run_documents import RUN
from db.sharing import shared_objects
from db.sharing.shared_objects import Resource, Shared

_DOCUMENTS = {
    "conversation": CONVERSATION,
    "message": MESSAGE,
    "run": RUN,
    "chat_attachment": CHAT_ATTACHMENT,
}
"""The documents of what a change can be about, by the first word of its type."""

_SHARED = ("conversation", "message")
"""What members see of a shared conversation. They cannot read its runs."""

_c = changes.c
_user = sa.bindparam("acting_user", type_=sa.String)


def _with_sizes() -> Statement:
    """Return the statement that reads changes, and the size of what they are about."""
    found: sa.FromClause = changes
    for document in _DOCUMENTS.values():
        table = document.table
        is_same = sa.and_(table.c.id == _c.resource_id, OWNERS[table.name] == _user)
        found = found.outerjoin(table, is_same)
    # Null if the user has no such row: it was deleted, or it is shared with the user.
    size = sa.func.coalesce(*(document.size for document in _DOCUMENTS.values()))
    return Statement(
        sa.select(
            *(_c.sequence, _c.type, _c.conversation_id, _c.resource_id, utc(_c.created_at)), size
        )
        .select_from(found)
        .where(
            _c.user_id == _user,
            _c.sequence > sa.bindparam("after", type_=sa.BigInteger),
            _c.sequence <= sa.bindparam("last", type_=sa.BigInteger),
        )
        .order_by(_c.sequence)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    )


def _by_id(document: Document) -> Statement:
    table = document.table
    ids: sa.BindParameter[Any] = sa.bindparam("ids", type_=sa.ARRAY(Id))
    return Statement(
        sa.select(table.c.id, *document.columns).where(
            table.c.id == sa.any_(ids), OWNERS[table.name] == _user
        )
    )


_select_page = _with_sizes()
_select_rows = {name: _by_id(document) for name, document in _DOCUMENTS.items()}


class _Row(NamedTuple):
    sequence: int
    type: str
    conversation_id: str | None
    resource_id: str | None
    at: str
    size: int | None

    @property
    def resource(self) -> Resource:
        """What the change is about: its name in _DOCUMENTS, or `settings`, and its id."""
        return self.type.partition(".")[0], self.resource_id


class Change(NamedTuple):
    """A change: its number, its type, its time, and its JSON document."""

    sequence: int
    type: str
    at: str
    document: bytes


class ChangePage(NamedTuple):
    """The changes after a position, in order, and the highest number of the whole log."""

    changes: list[Change]
    last_sequence: int


def select_page(
    connection: Connection,
    *,
    user_id: str,
    after: int | None,
    limit: int,
    tag: Callable[[bytes], str],
) -> ChangePage:
    """Return the changes after a position; without a position none.

    `tag` computes the ETag of a document. A page ends with the change whose resource reaches
    MAX_BYTES. Raises PositionExpired.
    """
    last = change_positions.number_all(connection, user_id=user_id)
    if after is None or after == last:
        return ChangePage([], last)
    values = {"acting_user": user_id, "after": after, "last": last, "limit": limit}
    rows = [_Row(*row) for row in _select_page.rows(connection, values)]
    # Numbers have no gaps, so a missing one was deleted, perhaps after `last` was read.
    if not rows or rows[-1].sequence - after != len(rows):
        raise PositionExpired
    named = [
        (row.conversation_id, row.resource)
        for row in rows
        if row.size is None and row.conversation_id and row.resource[0] in _SHARED
    ]
    shared = shared_objects.select_sizes(connection, member_id=user_id, named=named)
    rows = list(_fitting(rows, shared))
    tags = _tags(connection, user_id, rows, shared, tag)
    return ChangePage(
        [Change(row.sequence, row.type, time(row.at), _write(row, tags)) for row in rows], last
    )


def select_position(connection: Connection, *, user_id: str, after: int | None) -> int:
    """Return the position, or without one the end of the log. Raises PositionExpired."""
    page = select_page(connection, user_id=user_id, after=after, limit=1, tag=lambda _: "")
    return page.last_sequence if after is None else after


def _fitting(rows: Sequence[_Row], shared: Mapping[Resource, Shared]) -> Iterator[_Row]:
    """Yield the rows up to the one whose resource reaches MAX_BYTES."""
    sizes: dict[tuple[str, str | None], int] = {}
    total = 0
    for row in rows:
        yield row
        if row.resource not in sizes:
            sizes[row.resource] = row.size or 0
            if row.resource in shared:
                sizes[row.resource] = shared[row.resource].size
            total += sizes[row.resource]
        if total >= MAX_BYTES:
            return


def _tags(
    connection: Connection,
    user_id: str,
    rows: Sequence[_Row],
    shared: Mapping[Resource, Shared],
    tag: Callable[[bytes], str],
) -> dict[Resource, str]:
    """Return the current ETag of each resource of the rows that exists for the user."""
    seen = {row.resource: shared[row.resource] for row in rows if row.resource in shared}
    tags = shared_objects.select_tags(connection, seen, tag)
    resources = {row.resource: row.size or 0 for row in rows if row.resource not in shared}
    for name, document in _DOCUMENTS.items():
        ids = [row_id for kind, row_id in resources if kind == name]
        if ids:
            size = sum(resources[name, row_id] for row_id in ids)
            found = _select_rows[name].rows(connection, {"acting_user": user_id, "ids": ids})
            tags |= bridge.off_loop(size, _tags_of, name, document, found, tag)
    if ("settings", None) in resources:
        tags["settings", None] = tag(chat_settings.select_one(connection, user_id=user_id))
    return tags


def _tags_of(
    name: str, document: Document, rows: Sequence[Sequence[Any]], tag: Callable[[bytes], str]
) -> dict[Resource, str]:
    return {(name, row[0]): tag(document.write(row[1:])) for row in rows}


def _write(row: _Row, tags: Mapping[Resource, str]) -> bytes:
    return orjson.dumps(
        {
            "sequence": row.sequence,
            "type": row.type,
            "conversation_id": row.conversation_id,
            "id": row.resource_id,
            "etag": tags.get(row.resource),
            "at": time(row.at),
        }
    )
