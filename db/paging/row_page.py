"""Reads one page of rows as joined JSON documents, limited in bytes."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Integer,
    Select,
    String,
    Subquery,
    bindparam,
    case,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from db.documents import Columns, Json, text
from db.engine.statement import Statement

MAX_BYTES = 16 * 1024 * 1024
"""A page ends with the document that reaches this size."""
SEPARATOR = b",\n"
"""Separates two documents. It never occurs inside one, because JSON escapes line breaks."""

_SEPARATOR_SQL: ColumnElement[str] = literal_column(r"E',\n'")
_UNIT = 4 * 1024
"""Sizes are counted in units of this many bytes, rounded up."""
_LIMIT = bindparam("limit", type_=Integer)
_OFFSET = bindparam("offset", type_=Integer)
_SHARE: ColumnElement[int] = literal_column(str(MAX_BYTES), Integer) // _LIMIT
"""A page of documents up to this size cannot exceed MAX_BYTES."""


class RowsRead(NamedTuple):
    """The rows that were read, and the other columns that the statement selected."""

    documents: bytes
    """JSON documents, joined by SEPARATOR."""
    row_count: int
    has_more: bool
    extra: list[Any]

    def at_most(self, limit: int) -> "RowsRead":
        """Drop the last document if there are `limit` + 1."""
        if self.row_count <= limit:
            return self
        first, _, _ = self.documents.rpartition(SEPARATOR)
        return self._replace(documents=first, row_count=limit, has_more=True)

    def last_document(self) -> bytes:
        """Return the last document of a page that is not empty."""
        return self.documents.rpartition(SEPARATOR)[2]


class RowPage:
    """A query for one page of rows, limited by the parameters `limit` and `offset`.

    It has two statements, and most pages need only the first, which omits every document larger
    than an equal share of MAX_BYTES. If it omitted any, the second one adds up the real sizes.
    """

    def __init__(
        self,
        rows: Select[Any],
        build: Callable[[Columns], Json],
        *keys: str,
        around: Callable[[Select[Any]], Select[Any]] = lambda page: page,
    ) -> None:
        """Prepare both statements; pages have the order of `rows`.

        `keys` are columns to return as arrays because the documents do not contain them.
        `around` embeds the page's select in a larger one, which must select its columns first.
        """
        self._by_share = Statement(around(_select_by_share(rows, build, keys)))
        self._by_total = Statement(around(_select_by_total(rows, build, keys)))

    def read(self, connection: Connection, values: Mapping[str, Any]) -> RowsRead | None:
        """Return the page, or None if the statement given by `around` has no row."""
        page = self._run(self._by_share, connection, values)
        if page is None or not page.has_more:
            return page
        return self._run(self._by_total, connection, values)

    def _run(
        self, statement: Statement, connection: Connection, values: Mapping[str, Any]
    ) -> RowsRead | None:
        row = statement.row(connection, values)
        if row is None:
            return None
        documents, present, available, *extra = row
        return RowsRead(documents or b"", present, present < available, extra)


def _select_by_share(
    rows: Select[Any], build: Callable[[Columns], Json], keys: tuple[str, ...]
) -> Select[Any]:
    """Select the documents that are not larger than their share.

    The stored size of a column is often enough to skip a large row without reading it.
    """
    page = rows.limit(_LIMIT).offset(_OFFSET).subquery("page")
    stored = [
        func.pg_column_size(column) if isinstance(column.type, JSONB) else func.octet_length(column)
        for column in page.c
        if isinstance(column.type, JSONB)
        or (isinstance(column.type, String) and column.type.length is None)
    ]
    may_fit = (func.greatest(*stored) > _SHARE).is_not(true())
    document = case((may_fit, text(build(page.c))))
    built = _select_documents(page, document, keys)
    small = case((func.octet_length(built.c.document) <= _SHARE, built.c.document))
    return _aggregate(built, small, func.count(), keys)


def _select_by_total(
    rows: Select[Any], build: Callable[[Columns], Json], keys: tuple[str, ...]
) -> Select[Any]:
    """Select the documents up to the one that reaches MAX_BYTES.

    Each row is repeated once per _UNIT of its size, and the repetitions are numbered. PostgreSQL
    stops at a row number without building later documents; for a running sum it would build all
    of them. It copies what it numbers, so only sizes are numbered and the documents built again.
    """
    page = rows.limit(_LIMIT).offset(_OFFSET).subquery("page")
    size = func.octet_length(text(build(page.c)), type_=Integer)
    sizes = _unmerged(select(size.label("size")), "sizes")
    unit = func.generate_series(1, 1 + sizes.c.size // _UNIT).label("unit")
    units = select(unit).select_from(sizes).subquery("units")
    number = func.count().over(rows=(None, 0)).label("number")
    numbered = select(units.c.unit, number).subquery("numbered")
    fitting = (
        select(func.count())
        .select_from(numbered)
        .where(numbered.c.unit == 1, numbered.c.number <= MAX_BYTES // _UNIT)
    )
    first = rows.limit(fitting.scalar_subquery()).offset(_OFFSET).subquery("first")
    built = _select_documents(first, text(build(first.c)), keys)
    count = select(func.count()).select_from(page)
    return _aggregate(built, built.c.document, count.scalar_subquery(), keys)


def _select_documents(
    page: Subquery, document: ColumnElement[str], keys: tuple[str, ...]
) -> Subquery:
    """Build each document once, and only for rows that passed LIMIT and OFFSET."""
    return _unmerged(select(document.label("document"), *(page.c[key] for key in keys)), "built")


def _unmerged(rows: Select[Any], name: str) -> Subquery:
    """Return a subquery that the planner does not merge into the outer query."""
    return rows.offset(literal_column("0")).subquery(name)


def _aggregate(
    source: Subquery, document: ColumnElement[Any], count: ColumnElement[int], keys: tuple[str, ...]
) -> Select[Any]:
    """Select the joined documents that are not null, how many there are, `count` and the keys.

    An aggregate reads a sorted subquery in its order
    (https://www.postgresql.org/docs/current/functions-aggregate.html).
    """
    lines = func.string_agg(document, _SEPARATOR_SQL).label("lines")
    arrays = [
        func.array_agg(source.c[key], type_=ARRAY(source.c[key].type)).label(f"{key}s")
        for key in keys
    ]
    present = func.count(document).label("present")
    return select(lines, present, count.label("count"), *arrays)
