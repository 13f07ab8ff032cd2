"""Selects pages of a list: by limit and offset, or by the key of the last row already read."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Text,
    bindparam,
    cast,
    func,
    select,
    tuple_,
)

from db import documents
from db.models import Id, Moment
from db.paging.row_page import RowPage


class Page(NamedTuple):
    """A page of a list."""

    documents: bytes
    """JSON documents, joined by a comma and a line break."""
    total: int
    """The size of the whole list when its first page was read."""
    next_key: list[Any] | None
    """The last row's key in JSON types, to be passed as `after`; None on the last page."""


def by_time(
    table: Table,
    build: Callable[[documents.Columns], documents.Json],
    *,
    where: Sequence[ColumnElement[bool]],
    order_by: str,
    order: str,
    resumed: bool,
    counted: bool,
) -> RowPage:
    """Return the query for a list in the order of a time and then of the id.

    Both have the same direction, so one index serves the order, and one row comparison finds what
    follows a key. `counted` adds the total, which reads the whole list: only for first pages.
    """
    moment, row_id = table.c[order_by], table.c.id
    rows = select(table).where(*where)
    if resumed:
        key = tuple_(moment, row_id)
        last = tuple_(
            cast(bindparam("after_time", type_=Text), Moment),
            cast(bindparam("after_id", type_=Text), Id),
        )
        rows = rows.where(key > last if order == "asc" else key < last)
    if order == "asc":
        rows = rows.order_by(moment.asc(), row_id.asc())
    else:
        rows = rows.order_by(moment.desc(), row_id.desc())
    if not counted:
        return RowPage(rows, build)
    total = select(func.count()).select_from(table).where(*where).scalar_subquery()
    return RowPage(rows, build, around=lambda page: page.add_columns(total.label("total")))


def given(**filters: Any) -> dict[str, Any]:
    """Return the filters that have a value."""
    return {name: value for name, value in filters.items() if value is not None}


def matching(table: Table, filters: Iterable[str]) -> list[ColumnElement[bool]]:
    """Return the conditions that columns equal the parameters of the same name."""
    columns = [table.c[name] for name in sorted(filters)]
    return [column == bindparam(column.name, type_=column.type) for column in columns]


def needs_total(after: list[Any] | None) -> bool:
    """Return whether the page after this key must count the total.

    Cursors of version 1.0 have no total.
    """
    return after is None or len(after) < 3


def read_by_time(
    connection: Connection,
    row_page: RowPage,
    values: Mapping[str, Any],
    *,
    order_by: str,
    limit: int,
    offset: int,
    after: list[Any] | None,
) -> Page:
    """Read a page of a query made by `by_time`. Keys are [time, id, total].

    Reads one row more than the limit to learn whether more follow.
    """
    parameters = {**values, "limit": limit + 1, "offset": offset}
    if after is not None:
        parameters["after_time"], parameters["after_id"], *_ = after
    rows = row_page.read(connection, parameters)
    assert rows is not None, "an aggregate always has a row"
    rows = rows.at_most(limit)
    total = rows.extra[0] if rows.extra or after is None else after[2]
    if not rows.has_more:
        return Page(rows.documents, total, None)
    last = orjson.loads(rows.last_document())
    return Page(rows.documents, total, [last[order_by], last["id"], total])
