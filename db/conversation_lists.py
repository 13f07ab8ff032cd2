"""Lists the conversations of a user: the own ones, and those that are shared with the user."""

import functools
from typing import Any

from db import access
from db.documents import CONVERSATION
from db.engine import Connection
from db.paging import page
from db.paging.page import Page, TimePage
from db.sharing import lists
from db.sharing.lists import MemberPage


@functools.cache
def _select_page(
    filters: frozenset[str],
    order_by: str,
    order: str,
    *,
    only_own: bool,
    resumed: bool,
    counted: bool,
) -> TimePage:
    """Return the query for own conversations. Without `only_own` it is empty for members."""
    return TimePage(
        CONVERSATION,
        access=access.CONVERSATION,
        filters=filters,
        order_by=order_by,
        order=order,
        resumed=resumed,
        counted=counted,
        condition=None if only_own else lists.IS_NO_MEMBER,
    )


@functools.cache
def _select_page_of_member(
    filters: frozenset[str],
    order_by: str,
    order: str,
    *,
    only_shared: bool,
    resumed: bool,
    counted: bool,
) -> MemberPage:
    return MemberPage(
        filters=filters,
        order_by=order_by,
        order=order,
        only_shared=only_shared,
        resumed=resumed,
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
    source: str | None = None,
    agent_id: str | None = None,
    shared: bool | None = None,
    after: list[Any] | None = None,
) -> Page:
    """Return a page of the conversations that the user owns or is a member of.

    With `shared`, only of those that the user is a member of, or owns. Keys are
    [`order_by`'s time, id, total].
    """
    filters = page.given(source=source, agent_id=agent_id)
    form: dict[str, Any] = {
        "filters": frozenset(filters),
        "order_by": order_by,
        "order": order,
        "resumed": after is not None,
        "counted": page.needs_total(after),
    }
    place: dict[str, Any] = {"limit": limit, "offset": offset, "after": after}
    values = {"acting_user": user_id, **filters}
    if not shared:
        own = _select_page(**form, only_own=shared is False).read(connection, values, **place)
        if own.documents != b"[]" or shared is False:
            return own
    of_member = _select_page_of_member(**form, only_shared=bool(shared))
    return of_member.read(connection, values, **place)
