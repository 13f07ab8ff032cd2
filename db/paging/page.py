"""Pages of a list: how one is cut by limit, offset or the key of the row before it."""

from collections.abc import Callable, Mapping, Sequence
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
from db.paging.row_page import Lines


class Page(NamedTuple):
    """Some rows of a list, their documents one a line.

    `total` counts the whole list, or did when the first page was read. `next_key` is the key of the
    last row here, in JSON's terms, and None where no row follows; given back as `after`, it asks
    for the rows that follow.
    """

    lines: bytes
    total: int
    next_key: list[Any] | None


def by_time(
    table: Table,
    build: Callable[[documents.Columns], documents.Json],
    *,
    where: Sequence[ColumnElement[bool]],
    order_by: str,
    order: str,
    resumed: bool,
    counted: bool,
) -> Lines:
    """The rows of a list that is ordered by a time and then by id, and if `counted` the total.

    The id runs in the same direction, so that one index serves both and one row comparison says
    what comes after a key. Counting reads the whole list, which a page from the middle must not.
    """
    moment, tie = table.c[order_by], table.c.id
    rows = select(table).where(*where)
    if resumed:
        key = tuple_(moment, tie)
        last = tuple_(
            cast(bindparam("after_time", type_=Text), Moment),
            cast(bindparam("after_id", type_=Text), Id),
        )
        rows = rows.where(key > last if order == "asc" else key < last)
    if order == "asc":
        rows = rows.order_by(moment.asc(), tie.asc())
    else:
        rows = rows.order_by(moment.desc(), tie.desc())
    if not counted:
        return Lines(rows, build)
    total = select(func.count()).select_from(table).where(*where).scalar_subquery()
    return Lines(rows, build, around=lambda lines: lines.add_columns(total.label("total")))


def is_counted(after: list[Any] | None) -> bool:
    """Tell whether the page behind this key has to count the total: it is not in the key."""
    return after is None or len(after) < 3


def read_by_time(
    connection: Connection,
    lines: Lines,
    values: Mapping[str, Any],
    *,
    order_by: str,
    limit: int,
    offset: int,
    after: list[Any] | None,
) -> Page:
    """Run what `by_time` made. Keys are [time, id, total], so that the total is counted once.

    One row more than the limit is read, to know whether any follow.
    """
    parameters = {**values, "limit": limit + 1, "offset": offset}
    if after is not None:
        parameters["after_time"], parameters["after_id"], *_ = after
    found = lines.read(connection, parameters)
    assert found is not None, "an aggregate always has a row"
    found = found.at_most(limit)
    total = found.others[0] if found.others or after is None else after[2]
    if not found.is_cut:
        return Page(found.lines, total, None)
    last = orjson.loads(found.last())
    return Page(found.lines, total, [last[order_by], last["id"], total])
