"""Reads one page of rows as JSON documents, limited in bytes."""

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

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

from db.documents import Document
from db.engine import Connection, bridge
from db.engine.statement import Statement

MAX_BYTES = 16 * 1024 * 1024
"""A page ends with the document that reaches this size."""
SEPARATOR = b",\n"

_LIMIT = bindparam("limit", type_=Integer)
_OFFSET = bindparam("offset", type_=Integer)
_LARGEST = bindparam("largest", type_=Integer)
_ANY_SIZE = 2**31 - 1


class RowsRead(NamedTuple):
    """The rows of a page, and the other columns that the statement selected."""

    documents: bytes
    """The documents, joined by the separator."""
    last_key: Sequence[Any]
    """The last row's values of `keys`; empty without rows."""
    has_more: bool
    extra: Sequence[Any]
    """The first row's values of the columns that `around` added."""


class RowPage:
    """A query for a page of rows in an order.

    The memory for a page is limited: rows that are larger than their share of MAX_BYTES come
    without their texts. If there are any, the query runs once more for as many rows as fit.
    """

    def __init__(
        self,
        document: Document,
        *,
        where: Sequence[ColumnElement[bool]],
        order_by: Sequence[ColumnElement[Any]],
        keys: Sequence[ColumnElement[Any]] = (),
        around: Callable[[Select[Any]], Select[Any]] = lambda page: page,
        prepare: bool = True,
        separator: bytes = SEPARATOR,
    ) -> None:
        """`around` adds columns at the end, or joins the select to a row that has them."""
        size = document.table.c.size
        columns = [_without_large(column, size) for column in document.columns]
        page = (
            select(size, *keys, *columns)
            .where(*where)
            .order_by(*order_by)
            .limit(_LIMIT)
            .offset(_OFFSET)
        )
        self._statement = Statement(around(page), prepare=prepare)
        self._key_count = len(keys)
        self._document = document
        self._separator = separator

    def read(
        self, connection: Connection, values: Mapping[str, Any], *, limit: int, offset: int
    ) -> RowsRead | None:
        """Return the page, or None if the select given by `around` has no row."""
        # One row more than the limit shows whether more follow.
        parameters = {**values, "limit": limit + 1, "offset": offset}
        share = MAX_BYTES // (limit + 1)
        found = self._statement.rows(connection, parameters | {"largest": share})
        if not found:
            return None
        extra = found[0][1 + self._key_count + len(self._document.columns) :]
        rows = _present(found)
        available = len(rows)
        sizes = [row[0] for row in rows]
        if any(size > share for size in sizes):
            parameters["limit"] = _fitting(sizes)
            rows = _present(self._statement.rows(connection, parameters | {"largest": _ANY_SIZE}))
        documents = bridge.off_loop(sum(sizes), self._write, rows[:limit])
        if not documents:  # also if others deleted the rows between the two executions
            return RowsRead(b"", (), False, extra)
        last_key = rows[len(documents) - 1][1 : 1 + self._key_count]
        return RowsRead(
            self._separator.join(documents), last_key, len(documents) < available, extra
        )

    def _write(self, rows: Sequence[Sequence[Any]]) -> list[bytes]:
        """Return the documents of the rows, up to the one that reaches MAX_BYTES."""
        first_column = 1 + self._key_count
        documents: list[bytes] = []
        written = 0
        for row in rows:
            documents.append(self._document.write(row[first_column:]))
            written += len(documents[-1])
            if written >= MAX_BYTES:
                break
        return documents


def _present(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the rows without the one that stands for an empty page."""
    return [row for row in rows if row[0] is not None]


def _without_large(column: ColumnElement[Any], size: ColumnElement[int]) -> ColumnElement[Any]:
    """Return null for a column without a bound if the row is larger than the parameter."""
    kind = column.type
    if isinstance(kind, JSON) or (isinstance(kind, String) and kind.length is None):
        return case((size <= _LARGEST, column))
    return column


def _fitting(sizes: Sequence[int]) -> int:
    """Return how many rows there are up to the one that reaches MAX_BYTES."""
    return 1 + sum(total < MAX_BYTES for total in accumulate(sizes[:-1]))
