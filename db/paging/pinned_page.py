"""Selects pages of a list that has pinned rows first, and then an order by time."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Select, cast, select, union_all

from db.documents import Document
from db.paging.page import AFTER_ID, AFTER_TIME, CountedPage, directed, follows
from db.paging.row_page import LIMIT, OFFSET

_UP_TO_END = cast(LIMIT, BigInteger) + cast(OFFSET, BigInteger)


class Selection(NamedTuple):
    """Which rows a list has; None selects both."""

    archived: bool | None
    pinned: bool | None

    def conditions(self, columns: Any) -> list[ColumnElement[bool]]:
        """Return the conditions for the rows of a table with these columns."""
        return _all_of(_is(columns[name], value) for name, value in self._asdict().items())


class Order(NamedTuple):
    """The order of a list: pinned rows first, then by a time and an id in one direction."""

    time: str
    direction: str

    def by(self, key: Sequence[ColumnElement[Any]]) -> list[ColumnElement[Any]]:
        """Return the columns to order by. `key` is whether a row is pinned, its time and id."""
        return [key[0].desc(), *directed(key[1:], self.direction)]


class Range(NamedTuple):
    """Rows that an index has in order."""

    where: list[ColumnElement[bool]]
    order_by: list[ColumnElement[Any]]


def ranges(
    columns: Any,
    row_id: ColumnElement[Any],
    order: Order,
    selection: Selection,
    after_pinned: bool | None,
) -> Iterator[Range]:
    """Yield the ranges that have rows of a page.

    The index (owner, archived, pinned, time, id) has the rows in the order of the usual list,
    newest first. Other pages need several ranges of it, or one part of the list. `after_pinned` is
    whether the page follows a pinned row; None for a first page.
    """
    key = [columns.pinned, columns[order.time], row_id]
    parts = [selection.pinned]
    if selection.pinned is None and (order.direction == "asc" or after_pinned is not None):
        # Earlier pages had the pinned rows if one of them ended with a row that is not pinned.
        parts = [False] if after_pinned is False else [True, False]
    for pinned in parts:
        for archived in [False, True] if selection.archived is None else [None]:
            conditions = [_is(columns.archived, archived)]
            if selection.pinned is None:
                conditions.append(_is(columns.pinned, pinned))
            if after_pinned is not None and pinned in (selection.pinned, after_pinned):
                conditions.append(follows(key[1:], [AFTER_TIME, AFTER_ID], order.direction))
            # Ordering by a constant would keep the planner from reading the index in order.
            yield Range(_all_of(conditions), order.by(key)[0 if pinned is None else 1 :])


class PinnedPage(CountedPage):
    """A query for pages of rows with the columns `archived` and `pinned`.

    Keys are [time, id, total], and True if the row is pinned.
    """

    def __init__(
        self,
        document: Document,
        *,
        where: Sequence[ColumnElement[bool]],
        alternatives: Sequence[Sequence[ColumnElement[bool]]],
        condition: ColumnElement[bool] | None,
        selection: Selection,
        order: Order,
        after_pinned: bool | None,
        counted: bool,
        prepare: bool,
    ) -> None:
        """Pages are empty unless `condition` holds; the total does not depend on it."""
        columns = document.table.c
        self._order = order
        self._positions = [document.names.index(name) for name in ("pinned", order.time, "id")]
        parts = [
            Range([*_all_of([condition]), *alternative, *each.where], each.order_by)
            for each in ranges(columns, columns.id, order, selection, after_pinned)
            for alternative in alternatives
        ]
        super().__init__(
            document,
            order_by=order.time,
            where=[*where, *selection.conditions(columns)],
            alternatives=alternatives,
            arrange=lambda page: self._merge(page, parts),
            counted=counted,
            prepare=prepare,
        )

    def key(self, row: Sequence[Any], total: int) -> list[Any]:
        """Return the row's key."""
        return key_of(super().key(row, total), is_pinned=row[self._positions[0]])

    def _merge(self, page: Select[Any], parts: Sequence[Range]) -> Select[Any]:
        """Return the page of the rows of all ranges."""
        first, *others = [page.where(*each.where).order_by(*each.order_by) for each in parts]
        if not others:
            return first.limit(LIMIT).offset(OFFSET)
        found = union_all(*(each.limit(_UP_TO_END) for each in (first, *others))).subquery()
        size, *columns = found.c
        key = self._order.by([columns[position] for position in self._positions])
        return select(size, *columns).order_by(*key).limit(LIMIT).offset(OFFSET)


def _is(column: ColumnElement[bool], value: bool | None) -> ColumnElement[bool] | None:
    return None if value is None else column if value else ~column


def _all_of(conditions: Any) -> list[ColumnElement[bool]]:
    """Return the conditions that are not None."""
    return [each for each in conditions if each is not None]


def key_of(time_key: list[Any], *, is_pinned: bool) -> list[Any]:
    """Return the key of a row, from [time, id, total]."""
    return [*time_key, True] if is_pinned else time_key


def is_pinned_key(after: list[Any] | None) -> bool | None:
    """Tell whether a key is that of a pinned row; None without a key."""
    return None if after is None else after[3:] == [True]
