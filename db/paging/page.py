"""Selects pages of a list: by limit and offset, or by the key of the last row already read."""

import functools
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    Text,
    bindparam,
    cast,
    func,
    null,
    select,
    tuple_,
)

from db.documents import Document, time
from db.engine import Connection
from db.engine.statement import Statement
from db.models import Id, Moment
from db.paging.row_page import LIMIT, OFFSET, RowPage


class Page(NamedTuple):
    """A page of a list."""

    documents: bytes
    """A JSON array."""
    total: int
    """The size of the whole list when its first page was read."""
    next_key: list[Any] | None
    """The last row's key in JSON types, to be passed as `after`; None on the last page."""


AFTER_TIME = cast(bindparam("after_time", type_=Text), Moment)
AFTER_ID = cast(bindparam("after_id", type_=Text), Id)


class CountedPage:
    """A query for pages in an order by time, and for the size of the list."""

    def __init__(
        self,
        document: Document,
        *,
        order_by: str,
        where: Sequence[ColumnElement[bool]],
        alternatives: Sequence[Sequence[ColumnElement[bool]]] = ((),),
        arrange: Callable[[Select[Any]], Select[Any]],
        counted: bool,
        prepare: bool,
    ) -> None:
        """`where` selects the list's rows, `arrange` the page among them.

        Each row also meets one of the `alternatives`, which exclude each other. `counted` reads the
        whole list for the total: only for first pages.
        """
        counts = [
            select(func.count()).select_from(document.table).where(*where, *each).scalar_subquery()
            for each in alternatives
        ]
        sum_: ColumnElement[Any] = functools.reduce(operator.add, counts)
        total = sum_ if counted else null()
        self._rows = RowPage(
            document,
            where=where,
            arrange=arrange,
            around=lambda page: page.add_columns(total.label("total")),
            prepare=prepare,
        )
        self._count = Statement(select(sum_), prepare=prepare)
        self._moment, self._id = map(document.names.index, (order_by, "id"))

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
        parameters = dict(values)
        if after is not None:
            parameters["after_time"], parameters["after_id"], *_ = after
        rows = self._rows.read(connection, parameters, limit=limit, offset=offset)
        if after is not None and not needs_total(after):
            total = after[2]
        elif rows is not None:
            (total,) = rows.extra
        else:
            total = self._count.scalar(connection, parameters) if offset or after else 0
        if rows is None:
            return Page(b"[]", total, None)
        if not rows.has_more:
            return Page(rows.documents, total, None)
        return Page(rows.documents, total, self.key(rows.last, total))

    def key(self, row: Sequence[Any], total: int) -> list[Any]:
        """Return [time, id, total]."""
        return [time(row[self._moment]), row[self._id], total]


class TimePage(CountedPage):
    """A query for pages in the order of a time and then of the id.

    Both have the same direction, so one index serves the order, and one row comparison finds what
    follows a key. Keys are [time, id, total].
    """

    def __init__(
        self,
        document: Document,
        *,
        access: ColumnElement[bool],
        filters: Iterable[str],
        order_by: str,
        order: str,
        resumed: bool,
        counted: bool,
    ) -> None:
        """`filters` are columns that equal the parameters of the same name."""
        table = document.table
        key = [table.c[order_by], table.c.id]
        columns = [table.c[name] for name in sorted(filters)]

        def arrange(page: Select[Any]) -> Select[Any]:
            if resumed:
                page = page.where(follows(key, [AFTER_TIME, AFTER_ID], order))
            return page.order_by(*directed(key, order)).limit(LIMIT).offset(OFFSET)

        super().__init__(
            document,
            order_by=order_by,
            where=[access, *(c == bindparam(c.name, type_=c.type) for c in columns)],
            arrange=arrange,
            counted=counted,
            # Whether a filter's index or the order's index is better depends on the value.
            prepare=not columns,
        )


def directed(key: Sequence[ColumnElement[Any]], order: str) -> list[ColumnElement[Any]]:
    """Return the columns of an order, all in the same direction."""
    return [column.asc() if order == "asc" else column.desc() for column in key]


def follows(
    key: Sequence[ColumnElement[Any]], last: Sequence[ColumnElement[Any]], order: str
) -> ColumnElement[bool]:
    """Return the condition that a row follows the last one in an order, for the index to use."""
    one, other = tuple_(*key), tuple_(*last)
    return one > other if order == "asc" else one < other


def given(**filters: Any) -> dict[str, Any]:
    """Return the filters that have a value."""
    return {name: value for name, value in filters.items() if value is not None}


def needs_total(after: list[Any] | None) -> bool:
    """Return whether the page after this key must count the total.

    Cursors of version 1.0 have no total.
    """
    return after is None or len(after) < 3
