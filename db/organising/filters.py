"""The conditions of the filters of conversations whose value is the parameter of the same name."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from db.organising.listed import Listed

_agent = sa.bindparam("agent_id", type_=sa.String)
_tag = sa.bindparam("tag", type_=sa.String)

NAMES = frozenset({"source", "agent_id", "tag"})


def _chosen(of: Listed) -> sa.ColumnElement[bool]:
    """Return the condition that a message's routing decision selected the agent."""
    agents = of.agents.c
    chosen = sa.select(agents.conversation_id)
    return of.row_id.in_(
        chosen.where(agents.user_id == of.of_user.right, agents.agent_id == _agent)
    )


def _tagged(of: Listed) -> sa.ColumnElement[bool]:
    tags = of.tags.c
    found = sa.select(tags.conversation_id)
    return of.row_id.in_(found.where(tags.user_id == of.of_user.right, tags.tag == _tag))


def conditions(of: Listed, names: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of the named filters, without that of the agent."""
    known = {
        "source": of.rows.c.source == sa.bindparam("source", type_=sa.String),
        "tag": _tagged(of),
        **{
            name: of.rows.c[name] == sa.bindparam(name, type_=sa.Boolean)
            for name in ("archived", "pinned")
        },
    }
    return [known[name] for name in sorted(names) if name != "agent_id"]


def alternatives(of: Listed, names: Iterable[str]) -> Sequence[Sequence[sa.ColumnElement[bool]]]:
    """Return conditions that exclude each other, of which a row with the agent meets one.

    One condition with OR could not use the indexes of both.
    """
    if "agent_id" not in names:
        return [[]]
    agent_id = of.rows.c.agent_id
    return [[agent_id == _agent], [agent_id.is_distinct_from(_agent), _chosen(of)]]
