"""Searches the messages of a user's conversations, own and shared ones, best match first."""

import functools
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa

from db.engine import Connection
from db.engine.statement import Statement
from db.models import Id, memberships
from db.organising import filters
from db.organising.listed import SHARED
from db.search import messages_found, ranking
from db.search.messages_found import Found
from db.search.query import Query
from db.sharing.memberships import Membership

MAX_SHARED = 1000
"""How many shared conversations are searched: those with the newest messages."""

_OF_CONVERSATION = frozenset({"archived", "source", "agent_id"})
_OF_MESSAGE = frozenset({"role", "created_after", "created_before"})


class Page(NamedTuple):
    """A page of results."""

    documents: bytes
    """A JSON array."""
    next_key: list[Any] | None
    """What the next page starts after, to be passed as `after`; None on the last page."""


@functools.cache
def _select_memberships(names: frozenset[str]) -> Statement:
    c = memberships.c
    where = [SHARED.of_user, *filters.conditions(SHARED, names - {"conversation_id"})]
    if "conversation_id" in names:
        where.append(c.conversation_id == sa.bindparam("conversation_id", type_=Id))
    agents = [sa.and_(sa.true(), *each) for each in filters.alternatives(SHARED, names)]
    return Statement(
        sa.select(c.conversation_id, *(c[name] for name in Membership._fields))
        .where(*where, sa.or_(*agents))
        .order_by(c.updated_at.desc())
        .limit(sa.literal_column(str(MAX_SHARED))),
        prepare=not names,
    )


def select_page(
    connection: Connection,
    *,
    user_id: str,
    query: Query,
    limit: int,
    shared: bool | None = None,
    after: Sequence[Any] | None = None,
    **values: Any,
) -> Page:
    """Return a page of the results that match the filters `values`; None does not filter.

    With `shared`, only from conversations that others share with the user, or only from own ones.
    """
    given = {name: value for name, value in values.items() if value is not None}
    place: dict[str, Any] = {"limit": limit + 1, "after": after}
    found: list[Found] = []
    if not shared:
        found += _own(connection, user_id, query, given, place)
    if shared is not False:
        found += _shared(connection, user_id, query, given, place)
    found.sort(key=lambda each: each.match, reverse=True)
    page = found[:limit]
    documents = messages_found.select(connection, page, user_id=user_id, query=query)
    return Page(documents, page[-1].match.key if len(found) > limit else None)


def _own(
    connection: Connection,
    user_id: str,
    query: Query,
    given: Mapping[str, Any],
    place: Mapping[str, Any],
) -> list[Found]:
    chosen = {name: value for name, value in given.items() if name != "conversation_id"}
    if "conversation_id" in given:
        chosen["conversation_ids"] = [given["conversation_id"]]
    if chosen.get("archived") is False:
        chosen["unarchived"] = chosen.pop("archived")
    matches = ranking.select(
        connection, owner_id=user_id, query=query.tsquery(user_id), filters=chosen, **place
    )
    return [Found(match, None) for match in matches]


def _shared(
    connection: Connection,
    user_id: str,
    query: Query,
    given: Mapping[str, Any],
    place: Mapping[str, Any],
) -> list[Found]:
    """Return matches in conversations of other users, from one statement for each owner."""
    names = given.keys() & (_OF_CONVERSATION | {"conversation_id"})
    rows = _select_memberships(frozenset(names)).rows(connection, {"acting_user": user_id, **given})
    members = {row_id: Membership(*columns) for row_id, *columns in rows}
    chosen = {name: given[name] for name in given.keys() & _OF_MESSAGE}
    found: list[Found] = []
    by_owner = sorted(members, key=lambda row_id: members[row_id].owner_id)
    for owner_id, ids in groupby(by_owner, key=lambda row_id: members[row_id].owner_id):
        matches = ranking.select(
            connection,
            owner_id=owner_id,
            query=query.tsquery(owner_id),
            filters={**chosen, "conversation_ids": list(ids)},
            **place,
        )
        found += [Found(match, members[match.conversation_id]) for match in matches]
    return found
