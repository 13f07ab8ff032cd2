"""Selects pages of a list: by limit and offset, or by the key of the last row already read."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
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
from db.paging.row_page import RowPage


class Page(NamedTuple):
    """A page of a list."""

    documents: bytes
    """A JSON array."""
    total: int
    """The size of the whole list when its first page was read."""
    next_key: list[Any] | None
    """The last row's key in JSON types, to be passed as `after`; None on the last page."""


class TimePage:
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
        condition: ColumnElement[bool] | None = None,
    ) -> None:
        """`filters` are columns that equal the parameters of the same name.

        `counted` reads the whole list for the total: only for first pages. Pages are empty unless
        `condition` holds; the total does not depend on it.
        """
        table = document.table
        moment, row_id = table.c[order_by], table.c.id
        columns = [table.c[name] for name in sorted(filters)]
        where = [access, *(c == bindparam(c.name, type_=c.type) for c in columns)]
        conditions = [*where, *([] if condition is None else [condition])]
        if resumed:
            conditions.append(after_key(moment, row_id, order))
        count = select(func.count()).select_from(table).where(*where)
        total: ColumnElement[Any] = count.scalar_subquery() if counted else null()
        self._rows = RowPage(
            document,
            where=conditions,
            order_by=[c.asc() if order == "asc" else c.desc() for c in (moment, row_id)],
            around=lambda page: page.add_columns(total.label("total")),
            # Whether a filter's index or the order's index is better depends on the value.
            prepare=not columns,
        )
        self._count = Statement(count, prepare=not columns)
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
        key = [time(rows.last[self._moment]), rows.last[self._id], total]
        return Page(rows.documents, total, key)


def after_key(
    moment: ColumnElement[Any], row_id: ColumnElement[Any], order: str
) -> ColumnElement[bool]:
    """Return the condition for the rows that follow the parameters `after_time` and `after_id`."""
    key = tuple_(moment, row_id)
    last = tuple_(
        cast(bindparam("after_time", type_=Text), Moment),
        cast(bindparam("after_id", type_=Text), Id),
    )
    return key > last if order == "asc" else key < last


def given(**filters: Any) -> dict[str, Any]:
    """Return the filters that have a value."""
    return {name: value for name, value in filters.items() if value is not None}


def needs_total(after: list[Any] | None) -> bool:
    """Return whether the page after this key must count the total.

    Cursors of version 1.0 have no total.
    """
    return after is None or len(after) < 3
