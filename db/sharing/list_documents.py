"""Reads the documents of a list of conversations, own and shared ones, limited in bytes.

Each owner's conversations are on the owner's node, so they are read by a statement of their own.
For shared ones its role sees only the conversations that it names.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa

from db import access
from db.documents import CONVERSATION, MemberView
from db.engine import Connection, bridge, roles
from db.engine.statement import Statement
from db.models import Id, conversations
from db.paging.row_page import ANY_SIZE, LARGEST, MAX_BYTES, fitting, without_large, write_array


def _documents(role: str) -> Statement:
    columns = [without_large(CONVERSATION, column) for column in CONVERSATION.columns]
    array = sa.ARRAY(Id)
    wanted = sa.func.unnest(sa.cast(sa.bindparam("ids", type_=array), array)).table_valued("id")
    wanted = wanted.render_derived(name="wanted")
    # One row at a time, by the primary key. With `= ANY`, PostgreSQL might read all of the user's
    # entries in an index, because it expects only a few.
    row = (
        sa.select(conversations.c.id, CONVERSATION.size, *columns)
        .where(conversations.c.id == wanted.c.id, access.CONVERSATION)
        .limit(sa.literal_column("1"))
        .lateral("row")
    )
    return Statement(sa.select(row).select_from(wanted.join(row, sa.true())), role=role)


_select_own = _documents(roles.REQUEST)
_select_shared = _documents(roles.MEMBER)


class Key(NamedTuple):
    """A row of the list. Own conversations have None in the columns of members."""

    pinned: bool
    moment: str
    row_id: str
    owner_id: str | None
    role: str | None
    archived: bool | None
    tags: list[str] | None
    unread_count: int | None

    @property
    def views(self) -> list[MemberView]:
        """Return what a member sees of the conversation; nothing for its owner."""
        if self.role is None or self.archived is None:
            return []
        tags, unread_count = self.tags or [], self.unread_count or 0
        return [MemberView(self.role, self.archived, self.pinned, tags, unread_count)]


def select_page(
    connection: Connection, keys: Sequence[Key], *, user_id: str, limit: int
) -> tuple[bytes, Key | None, bool]:
    """Return the documents of the keys, the last key that was read, and whether others follow it.

    Conversations deleted meanwhile are left out. The memory for a page is limited as in `RowPage`:
    larger rows come without their texts, and then as many rows as fit are read once more.
    """
    bytes_per_row = MAX_BYTES // (limit + 1)
    rows = _rows(connection, user_id, keys, bytes_per_row)
    present = [key for key in keys if key.row_id in rows]
    sizes = [rows[key.row_id][0] for key in present]
    fits = present
    if any(size > bytes_per_row for size in sizes):
        fits = present[: fitting(sizes, MAX_BYTES)]
        rows = _rows(connection, user_id, fits, ANY_SIZE)
    written = [key for key in fits if key.row_id in rows]
    size = sum(rows[key.row_id][0] for key in written)
    documents, count = bridge.off_loop(size, _write, written, rows, size)
    if count < len(written):
        return documents, written[count - 1], True
    if len(fits) < len(present):
        return documents, fits[-1], True
    return documents, keys[-1] if keys else None, False


def _write(keys: Sequence[Key], rows: Mapping[str, Sequence[Any]], size: int) -> tuple[bytes, int]:
    structures = [CONVERSATION.structure(*rows[key.row_id][1:], *key.views) for key in keys]
    return write_array(structures, size)


def _rows(
    connection: Connection, user_id: str, keys: Sequence[Key], largest: int
) -> dict[str, Sequence[Any]]:
    """Return the size and the columns of each conversation that still exists, by id."""
    rows: dict[str, Sequence[Any]] = {}
    by_owner = sorted(keys, key=lambda key: key.owner_id or "")
    for owner_id, group in groupby(by_owner, key=lambda key: key.owner_id):
        ids = [key.row_id for key in group]
        values = {"acting_user": owner_id or user_id, "ids": ids, LARGEST.key: largest}
        if owner_id is None:
            found = _select_own.rows(connection, values)
        else:
            found = _select_shared.rows(connection, values | {"conversation": ",".join(ids)})
        rows |= {row_id: columns for row_id, *columns in found}
    return rows
