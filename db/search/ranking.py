"""Finds the best matches among the messages of one owner.

The role of these statements sees the terms of all users: a policy on the user would be evaluated
before the index is used, because the operator @@ is not leakproof. Terms are hashes of the owner
and a word, so the index has no entries of other users for them, and each statement names the owner.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY

from db.documents import time, utc
from db.engine import Connection, roles
from db.engine.statement import Statement
from db.models import Id, Moment, conversation_agents, conversations, message_terms

_c = message_terms.c
_user = sa.bindparam("acting_user", type_=sa.String)
_query: sa.ColumnElement[Any] = sa.cast(sa.bindparam("query", type_=sa.Text), TSQUERY)
_limit = sa.bindparam("limit", type_=sa.Integer)

# Divide by 1 + the logarithm of the length, and map to numbers below 1. Both keep the score of a
# message independent of all others.
_NORMALIZATION: sa.ColumnElement[int] = sa.literal_column("33")


def _moment(name: str) -> sa.ColumnElement[Any]:
    return sa.cast(sa.bindparam(name, type_=sa.Text), Moment)


def _own(column: sa.Column[Any], *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(column).where(column.table.c.user_id == _user, *conditions)


_agent = sa.bindparam("agent_id", type_=sa.String)
_of_conversation = conversations.c.id
_FILTERS: dict[str, sa.ColumnElement[bool]] = {
    "conversation_ids": _c.conversation_id
    == sa.any_(sa.bindparam("conversation_ids", type_=sa.ARRAY(Id))),
    "role": _c.role == sa.bindparam("role", type_=_c.role.type),
    "created_after": _c.created_at >= _moment("created_after"),
    "created_before": _c.created_at < _moment("created_before"),
    "source": _c.conversation_id.in_(
        _own(_of_conversation, conversations.c.source == sa.bindparam("source", type_=sa.String))
    ),
    "agent_id": sa.or_(
        _c.conversation_id.in_(_own(_of_conversation, conversations.c.agent_id == _agent)),
        _c.conversation_id.in_(
            _own(
                conversation_agents.c.conversation_id,
                conversation_agents.c.agent_id == _agent,
            )
        ),
    ),
    "archived": _c.conversation_id.in_(_own(_of_conversation, conversations.c.archived)),
    # Few conversations are archived, and these are found by an index.
    "unarchived": _c.conversation_id.not_in(_own(_of_conversation, conversations.c.archived)),
}


class Match(NamedTuple):
    """A message that was found. Later ones come first among equal scores."""

    score: float
    created_at: str
    message_id: str
    conversation_id: str

    @property
    def key(self) -> list[Any]:
        """Return what the next page starts after, in JSON types."""
        return [*self[:3]]


@functools.cache
def _select(filters: frozenset[str], *, resumed: bool) -> Statement:
    score = sa.func.ts_rank_cd(_c.terms, _query, _NORMALIZATION)
    matches = sa.select(
        score.label("score"), _c.created_at, _c.message_id, _c.conversation_id
    ).where(
        _c.user_id == _user,
        _c.terms.op("@@")(_query),
        *(_FILTERS[name] for name in sorted(filters)),
    )
    found = matches.subquery("found").c
    order = [found.score, found.created_at, found.message_id]
    page = sa.select(found.score, utc(found.created_at), found.message_id, found.conversation_id)
    if resumed:
        last = [
            sa.cast(sa.bindparam("after_score", type_=sa.Text), sa.REAL),
            _moment("after_time"),
            sa.cast(sa.bindparam("after_id", type_=sa.Text), Id),
        ]
        page = page.where(sa.tuple_(*order) < sa.tuple_(*last))
    # The number of matches depends on the words, and with it the best plan.
    return Statement(
        page.order_by(*(column.desc() for column in order)).limit(_limit),
        role=roles.EXISTENCE,
        prepare=False,
    )


def select(
    connection: Connection,
    *,
    owner_id: str,
    query: str,
    limit: int,
    filters: Mapping[str, Any],
    after: Sequence[Any] | None,
) -> list[Match]:
    """Return the best matches, up to `limit`, after the key of another one.

    `query` is the text of a tsquery for this owner. Filters without a value do not count.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    values = {"acting_user": owner_id, "query": query, "limit": limit, **given}
    if after is not None:
        score, values["after_time"], values["after_id"] = after
        values["after_score"] = repr(float(score))
    rows = _select(frozenset(given), resumed=after is not None).rows(connection, values)
    return [Match(score, time(at), *ids) for score, at, *ids in rows]
