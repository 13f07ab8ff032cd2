"""Reads one page of rows as JSON documents, limited in bytes."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from msgspec import Struct
from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    Select,
    String,
    bindparam,
    case,
    select,
)

from db.documents import Document, bytes_of, to_json
from db.engine import Connection, bridge
from db.engine.statement import Statement

MAX_BYTES = 16 * 1024 * 1024
"""A page ends with the document that reaches this size."""

LIMIT = bindparam("limit", type_=Integer)
OFFSET = bindparam("offset", type_=Integer)
LARGEST = bindparam("largest", type_=Integer)
"""The size up to which a row comes with its texts."""
ANY_SIZE = 2**31 - 1


class RowsRead(NamedTuple):
    """The rows of a page, and the other columns that the statement selected."""

    documents: bytes
    """What `write` has made of the rows, by default a JSON array."""
    last: Sequence[Any]
    """The last row's values of `keys` and of the document's columns; empty without rows."""
    has_more: bool
    extra: Sequence[Any]
    """The first row's values of the columns that `around` added."""


Write = Callable[[Sequence[Struct], int], tuple[bytes, int]]
"""Writes the structures of a page, and returns how many it has written.

Its second argument is the size of the rows' texts.
"""


Complete = Callable[[Sequence[Struct], Sequence[Any] | None, Sequence[Any]], None]
"""Completes the structures of a page before they are written.

It also gets the values of the document's columns in the row that follows, and RowsRead.extra.
"""


def write_array(structures: Sequence[Struct], size: int) -> tuple[bytes, int]:
    """Write a JSON array that ends with the document that reaches MAX_BYTES.

    The texts may take up to six times as much in JSON.
    """
    if size < bridge.LARGE_BYTES:  # writing all at once takes half as long
        return to_json(structures), len(structures)
    documents: list[bytes] = []
    written = 0
    for structure in structures:
        documents.append(to_json(structure))
        written += len(documents[-1])
        if written >= MAX_BYTES:
            break
    return b"[%s]" % b",".join(documents), len(documents)


class RowPage:
    """A query for a page of rows in an order.

    The memory for a page is limited: rows that are larger than their share of `max_bytes` come
    without their texts. If there are any, the query runs once more for as many rows as fit.
    """

    def __init__(
        self,
        document: Document,
        *,
        where: Sequence[ColumnElement[bool]],
        order_by: Sequence[ColumnElement[Any]] = (),
        arrange: Callable[[Select[Any]], Select[Any]] | None = None,
        keys: Sequence[ColumnElement[Any]] = (),
        around: Callable[[Select[Any]], Select[Any]] = lambda page: page,
        prepare: bool = True,
        write: Write = write_array,
        complete: Complete | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """`around` adds columns at the end, or joins the select to a row that has them.

        `arrange` orders and limits the rows instead of `order_by`.
        """
        columns = [without_large(document, column) for column in document.columns]
        page = select(document.size, *keys, *columns).where(*where)
        if arrange is None:
            page = page.order_by(*order_by).limit(LIMIT).offset(OFFSET)
        else:
            page = arrange(page)
        self._statement = Statement(around(page), prepare=prepare)
        self._of_document = slice(1 + len(keys), 1 + len(keys) + len(columns))
        self._document = document
        self._write = write
        self._complete = complete
        self._max_bytes = max_bytes

    def read(
        self, connection: Connection, values: Mapping[str, Any], *, limit: int, offset: int
    ) -> RowsRead | None:
        """Return the page, or None if the select given by `around` has no row."""
        # One row more than the limit shows whether more follow.
        parameters = {**values, "limit": limit + 1, "offset": offset}
        share = self._max_bytes // (limit + 1)
        found = self._statement.rows(connection, parameters | {"largest": share})
        if not found:
            return None
        extra = found[0][self._of_document.stop :]
        rows = all_rows = _present(found)
        sizes = [row[0] for row in rows]
        if any(size > share for size in sizes):
            parameters["limit"] = fitting(sizes, self._max_bytes)
            rows = _present(self._statement.rows(connection, parameters | {"largest": ANY_SIZE}))
        size = sum(sizes)
        page = rows[:limit]
        following = all_rows[len(page)] if len(page) < len(all_rows) else None
        documents, count = bridge.off_loop(size, self._documents, page, following, extra, size)
        # There are none also if others deleted them between the two executions.
        last = rows[count - 1][1:] if count else ()
        return RowsRead(documents, last, 0 < count < len(all_rows), extra)

    def _documents(
        self,
        rows: Sequence[Sequence[Any]],
        following: Sequence[Any] | None,
        extra: Sequence[Any],
        size: int,
    ) -> tuple[bytes, int]:
        structures = [self._document.structure(*row[self._of_document]) for row in rows]
        if self._complete is not None:
            next_row = None if following is None else following[self._of_document]
            self._complete(structures, next_row, extra)
        return self._write(structures, size)


def _present(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows without the one that stands for an empty page."""
    return [row for row in rows if row[0] is not None]


def without_large(document: Document, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return null for a column without a bound if the row is larger than the parameter."""
    kind, name = column.type, getattr(column, "name", "")
    size: ColumnElement[int] = document.table.c.size
    if name in document.computed:  # a small part of a column
        return column
    if name in document.uncounted:
        # Not the size of the whole row, which would cost a sum for each column.
        size = bytes_of(column)
    if isinstance(kind, JSON) or (isinstance(kind, String) and kind.length is None):
        return case((size <= LARGEST, column))
    return column


def fitting(sizes: Sequence[int], max_bytes: int) -> int:
    """Return how many rows there are up to the one that reaches the limit."""
    return 1 + sum(total < max_bytes for total in accumulate(sizes[:-1]))
