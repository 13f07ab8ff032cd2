"""The documents of a list's rows, one a line, and no more of them than one answer may hold."""

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
"""The lines end with the one at which they reach so many."""

_UNIT = 4 * 1024
"""In which a row's size is counted, up to the next whole one."""
_SEPARATOR: ColumnElement[str] = literal_column(r"E',\n'")
BETWEEN = b",\n"
"""What is between two lines, and in none: JSON escapes a line break."""

_LIMIT = bindparam("limit", type_=Integer)
_OFFSET = bindparam("offset", type_=Integer)
_SHARE: ColumnElement[int] = literal_column(str(MAX_BYTES), Integer) // _LIMIT
"""What a row may take where all of them take as much."""


class Found(NamedTuple):
    """So many lines, whether more rows were to be had, and what else a statement answers."""

    lines: bytes
    present: int
    is_cut: bool
    others: list[Any]

    def at_most(self, limit: int) -> "Found":
        """The same, or without its last line where that is the one beyond `limit`."""
        if self.present <= limit:
            return self
        rest, _, _ = self.lines.rpartition(BETWEEN)
        return self._replace(lines=rest, present=limit, is_cut=True)

    def last(self) -> bytes:
        """The last document."""
        return self.lines.rpartition(BETWEEN)[2]


class Lines:
    """Two statements for the same rows, of which most pages need the first one only.

    It gives the documents of rows that take no more than their share, so that they are bounded, and
    tells how many rows there are. Only where it left some out, the second one runs, and adds up.
    """

    def __init__(
        self,
        rows: Select[Any],
        build: Callable[[Columns], Json],
        *keys: str,
        around: Callable[[Select[Any]], Select[Any]] = lambda lines: lines,
    ) -> None:
        """Of `rows` in their order, cut by the values `limit` and `offset`.

        An array of each of the `keys`, columns that the documents do not show, comes beside them.
        `around` puts the select of the lines into a larger one, whose first columns it must give.
        """
        self._usual = Statement(around(_small_ones(rows, build, keys)))
        self._counted = Statement(around(_first_ones(rows, build, keys)))

    def read(self, connection: Connection, values: Mapping[str, Any]) -> Found | None:
        """Run them; None where the statement has no row."""
        found = self._run(self._usual, connection, values)
        if found is None or not found.is_cut:
            return found
        return self._run(self._counted, connection, values)

    def _run(
        self, statement: Statement, connection: Connection, values: Mapping[str, Any]
    ) -> Found | None:
        row = statement.row(connection, values)
        if row is None:
            return None
        lines, present, count, *others = row
        return Found(lines or b"", present, present < count, others)


def _small_ones(
    rows: Select[Any], build: Callable[[Columns], Json], keys: tuple[str, ...]
) -> Select[Any]:
    """The lines of the rows that take no more than their share.

    What a column takes in the table tells of many a row that it is large, without reading it.
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
    built = _built(page, document, keys)
    small = case((func.octet_length(built.c.document) <= _SHARE, built.c.document))
    return _joined(built, small, func.count(), keys)


def _first_ones(
    rows: Select[Any], build: Callable[[Columns], Json], keys: tuple[str, ...]
) -> Select[Any]:
    """The lines up to the one at which they reach MAX_BYTES.

    Rows are counted, each once for every _UNIT that it takes: PostgreSQL stops at a count, and
    builds no document behind it, while it would have to build them all for a sum. What it counts
    it copies, so that is sizes only, and the documents that fit are built anew.
    """
    page = rows.limit(_LIMIT).offset(_OFFSET).subquery("page")
    size = func.octet_length(text(build(page.c)), type_=Integer)
    sizes = _apart(select(size.label("size")), "sizes")
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
    built = _built(first, text(build(first.c)), keys)
    count = select(func.count()).select_from(page)
    return _joined(built, built.c.document, count.scalar_subquery(), keys)


def _built(page: Subquery, document: ColumnElement[str], keys: tuple[str, ...]) -> Subquery:
    """The documents, only of rows that LIMIT and OFFSET let through, and none built twice."""
    return _apart(select(document.label("document"), *(page.c[key] for key in keys)), "built")


def _apart(rows: Select[Any], name: str) -> Subquery:
    """A subquery that PostgreSQL does not merge with what is around it."""
    return rows.offset(literal_column("0")).subquery(name)


def _joined(
    source: Subquery, document: ColumnElement[Any], count: ColumnElement[int], keys: tuple[str, ...]
) -> Select[Any]:
    """The lines, without those that are null, how many there are, and of how many rows; the keys.

    An aggregate over nothing else reads a sorted subquery in its order
    (https://www.postgresql.org/docs/current/functions-aggregate.html).
    """
    lines = func.string_agg(document, _SEPARATOR).label("lines")
    arrays = [
        func.array_agg(source.c[key], type_=ARRAY(source.c[key].type)).label(f"{key}s")
        for key in keys
    ]
    present = func.count(document).label("present")
    return select(lines, present, count.label("count"), *arrays)
