"""The conditions of the filters of conversations whose value is the parameter of the same name."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from db.organising.listed import USER, Listed

_agent = sa.bindparam("agent_id", type_=sa.String)
_tag = sa.bindparam("tag", type_=sa.String)


def _has(of: Listed, names: sa.Table, name: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition that a row has the name in one of the tables of names."""
    found = sa.select(names.c.conversation_id).where(names.c.user_id == USER, name)
    return of.row_id.in_(found)


def conditions(of: Listed, names: Iterable[str]) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of the named filters, without that of the agent."""
    known = {
        "source": of.rows.c.source == sa.bindparam("source", type_=sa.String),
        "tag": _has(of, of.tags, of.tags.c.tag == _tag),
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
    selected = _has(of, of.agents, of.agents.c.agent_id == _agent)
    return [[agent_id == _agent], [agent_id.is_distinct_from(_agent), selected]]
