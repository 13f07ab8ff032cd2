"""Lists the conversations of a user: the own ones, and those that are shared with the user."""

import functools
from typing import Any

from db import access
from db.documents import CONVERSATION
from db.engine import Connection
from db.organising import filters
from db.organising.listed import OWN
from db.paging import page
from db.paging.page import Page
from db.paging.pinned_page import Order, PinnedPage, Selection, is_pinned_key
from db.sharing import lists
from db.sharing.lists import MemberPage


@functools.cache
def _select_page(
    names: frozenset[str],
    selection: Selection,
    order: Order,
    *,
    only_own: bool,
    after_pinned: bool | None,
    counted: bool,
) -> PinnedPage:
    """Return the query for own conversations. Without `only_own` it is empty for members."""
    return PinnedPage(
        CONVERSATION,
        where=[access.CONVERSATION, *filters.conditions(OWN, names)],
        alternatives=filters.alternatives(OWN, names),
        condition=None if only_own else lists.IS_NO_MEMBER,
        selection=selection,
        order=order,
        after_pinned=after_pinned,
        counted=counted,
        # Whether a filter's index or the order's index is better depends on the value.
        prepare=not names,
    )


@functools.cache
def _select_page_of_member(
    names: frozenset[str],
    selection: Selection,
    order: Order,
    *,
    only_shared: bool,
    after_pinned: bool | None,
    counted: bool,
) -> MemberPage:
    return MemberPage(
        names=names,
        selection=selection,
        order=order,
        only_shared=only_shared,
        after_pinned=after_pinned,
        counted=counted,
    )


def select_page(
    connection: Connection,
    *,
    user_id: str,
    limit: int,
    offset: int = 0,
    order_by: str = "created_at",
    order: str = "desc",
    archived: bool | None = False,
    pinned: bool | None = None,
    shared: bool | None = None,
    after: list[Any] | None = None,
    **given: str | None,
) -> Page:
    """Return a page of the conversations that the user owns or is a member of.

    With `shared`, only of those that the user is a member of, or owns. None selects archived and
    other, or pinned and other ones. `given` are the filters source, agent_id and tag. Keys are
    [`order_by`'s time, id, total], and True if the conversation is pinned.
    """
    values = {"acting_user": user_id, **page.given(**given)}
    form: dict[str, Any] = {
        "names": frozenset(page.given(**given)),
        "selection": Selection(archived, pinned),
        "order": Order(order_by, order),
        "after_pinned": is_pinned_key(after),
        "counted": page.needs_total(after),
    }
    place: dict[str, Any] = {"limit": limit, "offset": offset, "after": after}
    if not shared:
        own = _select_page(**form, only_own=shared is False).read(connection, values, **place)
        if own.documents != b"[]" or shared is False:
            return own
    of_member = _select_page_of_member(**form, only_shared=bool(shared))
    return of_member.read(connection, values, **place)
