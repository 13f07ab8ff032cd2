"""Reads the messages that a search has found, and writes them as results."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import Struct

from db import access
from db.documents import to_json
from db.engine import Connection, MemberGrant, acting_under, bridge
from db.engine.statement import Statement
from db.models import Id, conversations, messages
from db.search import snippets, words
from db.search.query import Query
from db.search.ranking import Match
from db.sharing.memberships import Membership

_m = messages.c
_conversation = conversations.c


def _messages() -> Statement:
    array = sa.ARRAY(Id)
    wanted = sa.func.unnest(sa.cast(sa.bindparam("ids", type_=array), array)).table_valued("id")
    wanted = wanted.render_derived(name="wanted")
    # The limit is what a search looks at, and bounds the memory for a page.
    content = sa.func.left(_m.content, sa.literal_column(str(words.MAX_CHARACTERS)))
    # One row at a time, by the primary keys, as in a list of conversations.
    row = (
        sa.select(
            _m.id,
            _m.position,
            _m.role,
            content.label("content"),
            *(_conversation[name] for name in ("title", "source", "agent_id", "archived")),
        )
        .where(
            _m.id == wanted.c.id,
            access.MESSAGE,
            _conversation.id == _m.conversation_id,
            access.CONVERSATION,
        )
        .limit(sa.literal_column("1"))
        .lateral("row")
    )
    return Statement(sa.select(row).select_from(wanted.join(row, sa.true())))


_select_messages = _messages()


class Found(NamedTuple):
    """A match, with the caller's membership in its conversation if it is another user's."""

    match: Match
    membership: Membership | None


class _Conversation(Struct, gc=False):
    id: str
    title: str
    role: str
    shared_by: str | None
    source: str | None
    agent_id: str | None
    archived: bool


class _Highlight(Struct, gc=False):
    start: int
    end: int


class _Result(Struct, gc=False):
    message_id: str
    position: int
    role: str
    created_at: str
    conversation: _Conversation
    snippet: str
    highlights: list[_Highlight]
    score: float


def select(connection: Connection, found: Sequence[Found], *, user_id: str, query: Query) -> bytes:
    """Return the JSON array of the results, in the order of the matches.

    Messages that were deleted meanwhile are left out. Those of other users are read under a grant,
    each conversation by itself.
    """
    rows: dict[str, Sequence[Any]] = {}
    for (conversation_id, membership), group in groupby(sorted(found, key=_place), key=_of):
        values = {
            "ids": [each.match.message_id for each in group],
            "acting_user": user_id if membership is None else membership.owner_id,
        }
        if membership is None:
            rows |= _by_id(connection, values)
            continue
        grant = MemberGrant(
            membership.owner_id, conversation_id, user_id, membership.role, access.READ
        )
        with acting_under(grant):
            rows |= _by_id(connection, values)
    cost = sum(words.cost(row[_CONTENT]) for row in rows.values())
    return bridge.off_loop(cost, _write, found, rows, query)


_SCORE_DIGITS = 6
_CONTENT = 2
"""The index of the content in a row."""


def _place(found: Found) -> tuple[bool, str]:
    return found.membership is not None, found.match.conversation_id


def _of(found: Found) -> tuple[str, Membership | None]:
    """Return what is read by one statement: one shared conversation, or all own ones."""
    if found.membership is None:
        return "", None
    return found.match.conversation_id, found.membership


def _by_id(connection: Connection, values: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    return {row_id: columns for row_id, *columns in _select_messages.rows(connection, values)}


def _write(found: Sequence[Found], rows: Mapping[str, Sequence[Any]], query: Query) -> bytes:
    results = [
        _result(each, rows[each.match.message_id], query)
        for each in found
        if each.match.message_id in rows
    ]
    return to_json(results)


def _result(found: Found, row: Sequence[Any], query: Query) -> _Result:
    position, role, content, title, source, agent_id, archived = row
    match, membership = found
    snippet, highlights = snippets.of(content, query)
    conversation = _Conversation(
        match.conversation_id,
        title,
        "owner" if membership is None else membership.role,
        None if membership is None else membership.owner_id,
        source,
        agent_id,
        archived if membership is None else membership.archived,
    )
    places = [_Highlight(*place) for place in highlights]
    return _Result(
        match.message_id,
        position,
        role,
        match.created_at,
        conversation,
        snippet,
        places,
        round(match.score, _SCORE_DIGITS),
    )
