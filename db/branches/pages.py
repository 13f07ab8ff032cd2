"""The query for a page of a conversation's messages: of its active path, or of all branches."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import Struct

from db import access
from db.branches import places
from db.messages.message_documents import MESSAGE, MESSAGE_OF_PATH
from db.models import messages
from db.paging.row_page import OFFSET, Complete, RowPage

_c = messages.c
_after = sa.bindparam("after_position", type_=sa.BigInteger)
_ONE: sa.ColumnElement[int] = sa.literal_column("1")


class Selection(NamedTuple):
    """Which messages of a conversation a page has, and in which order."""

    order: str = "asc"
    after: str = ""
    """The parameter after which the page starts: `position`, `offset`, or none."""
    all_branches: bool = False

    @property
    def needs_parent(self) -> bool:
        """Whether the page does not contain the parent of its oldest message."""
        return self.order == "asc" and not self.all_branches and bool(self.after)


def query(
    conversation_id: sa.BindParameter[Any],
    selection: Selection,
    *,
    around: Callable[[sa.Select[Any]], sa.Select[Any]] = lambda page: page,
) -> RowPage:
    """Return the query for a page. A column before those of `around` may be for its own use."""
    is_ascending = selection.order == "asc"
    where = [_c.conversation_id == conversation_id, access.MESSAGE]
    if not selection.all_branches:
        where.append(_c.active)
    if selection.after == "position":
        where.append(_c.position > _after if is_ascending else _c.position < _after)

    def with_parent(page: sa.Select[Any]) -> sa.Select[Any]:
        parent = _parent_of_first(conversation_id, selection.after)
        return around(page.add_columns(parent.label("parent_of_first")))

    complete: Complete | None = None
    if not selection.all_branches:
        complete = _complete_descending
        if is_ascending:
            complete = _complete_ascending if selection.needs_parent else _complete_from_start
    return RowPage(
        MESSAGE if selection.all_branches else MESSAGE_OF_PATH,
        where=where,
        order_by=[_c.position.asc() if is_ascending else _c.position.desc()],
        keys=[_c.position],
        around=with_parent if selection.needs_parent else around,
        complete=complete,
    )


def _parent_of_first(conversation_id: sa.BindParameter[Any], after: str) -> sa.ColumnElement[Any]:
    """Return the id of the active message before a page. PostgreSQL looks for it once a page."""
    if after == "position":
        last = places.last_active_id(conversation_id, places.EARLIER.position <= _after)
        return last.scalar_subquery()
    first = places.last_active_id(conversation_id).order_by(None).order_by(places.EARLIER.position)
    return first.offset(OFFSET - _ONE).scalar_subquery()


def _complete_from_start(
    structures: Sequence[Struct], _: Sequence[Any] | None, __: Sequence[Any]
) -> None:
    places.complete(structures, None)


def _complete_ascending(
    structures: Sequence[Struct], _: Sequence[Any] | None, extra: Sequence[Any]
) -> None:
    places.complete(structures, extra[0])


def _complete_descending(
    structures: Sequence[Struct], following: Sequence[Any] | None, _: Sequence[Any]
) -> None:
    # The row that follows is the message before: its first value is its id.
    places.complete(reversed(structures), None if following is None else following[0])
