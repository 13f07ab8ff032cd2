"""Finds the agents that a message's routing decision selected, and stores them for lists."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from db.organising.listed import Listed

MAX_CHARACTERS = 255
"""A longer name is not stored, because the list's filter cannot ask for it."""
MAX_AGENTS = 1000
"""The contract's limit. Decisions that match none of its shapes may have more."""


def selected(decision: Mapping[str, Any] | None) -> list[str]:
    """Return the selected agents, by name and id, of all shapes of a decision.

    Of each list only the first MAX_AGENTS are returned.
    """
    if decision is None:
        return []
    lists = [decision.get("selected_agents")]
    nested = decision.get("routing_decision")
    if isinstance(nested, dict):
        lists.append(nested.get("selected_agents"))
    names = [name for agents in lists if isinstance(agents, list) for name in _names(agents)]
    return list(dict.fromkeys(names))


def _names(agents: list[Any]) -> Iterator[str]:
    for agent in agents[:MAX_AGENTS]:
        texts = [agent.get("id"), agent.get("name")] if isinstance(agent, dict) else [agent]
        for text in texts:
            if isinstance(text, str) and 0 < len(text) <= MAX_CHARACTERS:
                yield text


def insertion(of: Listed, *where: sa.ColumnElement[bool]) -> sa.Insert:
    """Return the statement that stores the agents `new_agents` of a row."""
    array = sa.ARRAY(sa.String)
    names = sa.func.unnest(sa.cast(sa.bindparam("new_agents", type_=array), array))
    new = names.table_valued("agent_id", name="new").render_derived()
    rows = (
        sa.select(of.row_id, of.rows.c.user_id, new.c.agent_id)
        .select_from(sa.join(of.rows, new, sa.true()))
        .where(*where)
    )
    columns = ["conversation_id", "user_id", "agent_id"]
    return insert(of.agents).from_select(columns, rows).on_conflict_do_nothing()
