"""Reads pages of the conversations that a user owns or is a member of, in one order.

Users who are not members have a single statement (`db.conversation_lists`). For members, a first
statement selects the keys of own and shared conversations, which are all on the user's node. Then
the documents follow (`list_documents`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from db.documents import time, utc
from db.engine import Connection
from db.engine.statement import Statement
from db.models import conversations, memberships
from db.paging.page import Page, after_key, needs_total
from db.sharing import list_documents
from db.sharing.list_documents import Key

_user = sa.bindparam("acting_user", type_=sa.String)
_limit = sa.bindparam("limit", type_=sa.Integer)
_offset = sa.bindparam("offset", type_=sa.Integer)
_most = sa.bindparam("most", type_=sa.BigInteger)
_none: sa.ColumnElement[Any] = sa.cast(sa.null(), sa.String)
_KEYS: dict[str, tuple[sa.ColumnElement[Any], ...]] = {
    "memberships": (memberships.c.conversation_id, memberships.c.owner_id, memberships.c.role),
    "conversations": (conversations.c.id, _none, _none),
}
"""The columns of each table for a Key, without its time."""

# Not EXISTS, for which PostgreSQL may read the whole table: it expects to find a row soon. With an
# order it reads one entry of an index.
IS_NO_MEMBER = (
    sa.select(memberships.c.conversation_id)
    .where(memberships.c.user_id == _user)
    .order_by(memberships.c.created_at)
    .limit(sa.literal_column("1"))
    .scalar_subquery()
    .is_(None)
)
"""The condition for a list of own conversations that is the user's whole list."""


class MemberPage:
    """A query for pages of own and shared conversations, or only of shared ones.

    Pages and keys are those of `TimePage`.
    """

    def __init__(
        self,
        *,
        filters: Iterable[str],
        order_by: str,
        order: str,
        only_shared: bool,
        resumed: bool,
        counted: bool,
    ) -> None:
        """`filters`, `resumed` and `counted` are those of `TimePage`."""
        names = sorted(filters)
        tables = [memberships] if only_shared else [memberships, conversations]
        owned = [(table, _conditions(table, names)) for table in tables]
        keys = [_keys(table, where, order_by, order, resumed) for table, where in owned]
        counts = [sa.select(sa.func.count()).select_from(table).where(*w) for table, w in owned]
        total: sa.ColumnElement[Any] = sum(
            (count.scalar_subquery() for count in counts), start=sa.literal_column("0")
        )
        found = sa.union_all(*keys).subquery("found")
        self._keys = Statement(
            sa.select(
                utc(found.c.moment),
                found.c.row_id,
                found.c.owner_id,
                found.c.role,
                total if counted else sa.null(),
            )
            .order_by(*_directed(order, found.c.moment, found.c.row_id))
            .limit(_limit)
            .offset(_offset),
            prepare=not names,
        )
        self._count = Statement(sa.select(total), prepare=not names)

    def read(
        self,
        connection: Connection,
        values: Mapping[str, Any],
        *,
        limit: int,
        offset: int,
        after: list[Any] | None,
    ) -> Page:
        """Read the page after the key, or at the offset."""
        place = {"limit": limit + 1, "offset": offset, "most": offset + limit + 1}
        parameters = {**values, **place}
        if after is not None:
            parameters["after_time"], parameters["after_id"], *_ = after
        found = self._keys.rows(connection, parameters)
        if after is not None and not needs_total(after):
            total = after[2]
        elif found:
            total = found[0][-1]
        else:
            total = self._count.scalar(connection, parameters) if offset or after else 0
        keys = [Key(*row[:-1]) for row in found[:limit]]
        documents, last, is_cut = list_documents.select_page(
            connection, keys, user_id=values["acting_user"], limit=limit
        )
        if last is None or not (is_cut or len(found) > limit):
            return Page(documents, total, None)
        return Page(documents, total, [time(last.moment), last.row_id, total])


def _conditions(table: sa.Table, filters: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    columns = [table.c[name] for name in filters]
    return [table.c.user_id == _user, *(c == sa.bindparam(c.name, type_=c.type) for c in columns)]


def _keys(
    table: sa.Table,
    where: list[sa.ColumnElement[bool]],
    order_by: str,
    order: str,
    resumed: bool,
) -> sa.Select[Any]:
    """Return the select of the keys in one of the tables, as many as a page can need.

    It has the order of an index. PostgreSQL would otherwise read and sort all of the user's rows.
    """
    moment = table.c[order_by]
    row_id, owner_id, role = _KEYS[table.name]
    if resumed:
        where = [*where, after_key(moment, row_id, order)]
    return (
        sa.select(
            moment.label("moment"),
            row_id.label("row_id"),
            owner_id.label("owner_id"),
            role.label("role"),
        )
        .where(*where)
        .order_by(*_directed(order, moment, row_id))
        .limit(_most)
        .subquery()
        .select()
    )


def _directed(order: str, *columns: sa.ColumnElement[Any]) -> list[sa.ColumnElement[Any]]:
    return [column.asc() if order == "asc" else column.desc() for column in columns]
