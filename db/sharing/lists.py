"""Reads pages of the conversations that a user owns or is a member of, in one order.

Users who are not members have a single statement (`db.conversations.conversation_lists`). For
members, a first statement selects the keys of own and shared conversations, which are all on the
user's node. Then the documents follow (`list_documents`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from db.documents import time, utc
from db.engine import Connection
from db.engine.statement import Statement
from db.models import memberships
from db.organising import filters
from db.organising.listed import OWN, SHARED, Listed
from db.paging.page import Page, needs_total
from db.paging.pinned_page import Order, Range, Selection, key_of, ranges
from db.sharing import list_documents
from db.sharing.list_documents import Key

_user = sa.bindparam("acting_user", type_=sa.String)
_limit = sa.bindparam("limit", type_=sa.Integer)
_offset = sa.bindparam("offset", type_=sa.Integer)
_most = sa.bindparam("most", type_=sa.BigInteger)
# The columns of each table for a Key, without those that order the list. An own conversation is
# shown as it is.
_of_member = [
    memberships.c[name] for name in ("owner_id", "role", "archived", "tags", "unread_count")
]
_KEYS: dict[str, Sequence[sa.ColumnElement[Any]]] = {
    SHARED.rows.name: _of_member,
    OWN.rows.name: [sa.cast(sa.null(), column.type) for column in _of_member],
}

# Not EXISTS, for which PostgreSQL may read the whole table: it expects to find a row soon. With an
# order it reads one entry of an index.
IS_NO_MEMBER = (
    sa.select(memberships.c.conversation_id)
    .where(memberships.c.user_id == _user)
    .order_by(memberships.c.archived)
    .limit(sa.literal_column("1"))
    .scalar_subquery()
    .is_(None)
)
"""The condition for a list of own conversations that is the user's whole list."""


class MemberPage:
    """A query for pages of own and shared conversations, or only of shared ones.

    Pages and keys are those of `PinnedPage`.
    """

    def __init__(
        self,
        *,
        names: Iterable[str],
        selection: Selection,
        order: Order,
        only_shared: bool,
        after_pinned: bool | None,
        counted: bool,
    ) -> None:
        """`names` are those of the filters that have a value."""
        keys, counts = [], []
        for of in [SHARED] if only_shared else [SHARED, OWN]:
            where = [of.of_user, *filters.conditions(of, names)]
            selected = selection.conditions(of.rows.c)
            for alternative in filters.alternatives(of, names):
                count = sa.select(sa.func.count()).select_from(of.rows)
                counts.append(count.where(*where, *selected, *alternative).scalar_subquery())
                keys += [
                    _keys(of, [*where, *selected, *alternative], order, each)
                    for each in ranges(of.rows.c, of.row_id, order, selection, after_pinned)
                ]
        total: sa.ColumnElement[Any] = sum(counts, start=sa.literal_column("0"))
        found = sa.union_all(*keys).subquery("found")
        pinned, moment, row_id, *others = found.c
        self._keys = Statement(
            sa.select(pinned, utc(moment), row_id, *others, total if counted else sa.null())
            .order_by(*order.by([pinned, moment, row_id]))
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
        key = [time(last.moment), last.row_id, total]
        return Page(documents, total, key_of(key, is_pinned=last.pinned))


def _keys(
    of: Listed, where: Sequence[sa.ColumnElement[bool]], order: Order, part: Range
) -> sa.Select[Any]:
    """Return the select of the keys in a range of one of the tables, as many as a page can need.

    It has the order of an index. PostgreSQL would otherwise read and sort all of the user's rows.
    """
    columns = [of.rows.c.pinned, of.rows.c[order.time], of.row_id, *_KEYS[of.rows.name]]
    labels = [f"key_{number}" for number in range(len(columns))]
    return (
        sa.select(*(column.label(label) for column, label in zip(columns, labels, strict=True)))
        .where(*where, *part.where)
        .order_by(*part.order_by)
        .limit(_most)
        .subquery()
        .select()
    )
