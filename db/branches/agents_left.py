"""Forgets agents that were selected only by the routing decision of a deleted message.

Lists of conversations find the agents of the messages that are left, on all branches.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import sqlalchemy as sa

from db import access
from db.engine import Connection
from db.engine.statement import Statement
from db.models import Id, messages
from db.organising import agents
from db.organising.listed import OWN, SHARED, Listed
from db.sharing import telling

_c = messages.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_lists = (
    _c.routing_decision["selected_agents"],
    _c.routing_decision["routing_decision"]["selected_agents"],
)
_this = _c.id == sa.bindparam("of_message", type_=Id)
_decided = sa.select(*_lists).where(
    _c.conversation_id == _conversation, access.MESSAGE, _c.routing_decision.is_not(None)
)
_select_one = Statement(_decided.where(_this))
_select_others = Statement(_decided.where(sa.not_(_this)))


def _delete(of: Listed) -> Statement:
    array = sa.ARRAY(sa.String)
    names = sa.cast(sa.bindparam("old_agents", type_=array), array)
    return Statement(
        sa.delete(of.agents).where(
            of.agents.c.conversation_id == _conversation,
            of.agents.c.user_id == sa.bindparam("acting_user", type_=sa.String),
            of.agents.c.agent_id == sa.any_(names),
        )
    )


_delete_own, _delete_of_member = _delete(OWN), _delete(SHARED)


def forget(connection: Connection, values: Mapping[str, Any]) -> None:
    """Forget agents of the message that `values` name, for the owner and all members.

    The message still exists, and the conversation is locked.
    """
    selected = _names(_select_one.rows(connection, values))
    if not selected:
        return
    old = selected - _names(_select_others.rows(connection, values))
    if not old:
        return
    values = {**values, "old_agents": sorted(old)}
    _delete_own.rowcount(connection, values)
    members = telling.select_members(
        connection, conversation_id=values["of_conversation"], owner_id=values["acting_user"]
    )
    _delete_of_member.execute_each(
        connection, [values | {"acting_user": member_id} for member_id in members]
    )


def _names(rows: Iterable[tuple[str | None, str | None]]) -> set[str]:
    names: set[str] = set()
    for flat, nested in rows:
        decision = {
            "selected_agents": flat and orjson.loads(flat),
            "routing_decision": {"selected_agents": nested and orjson.loads(nested)},
        }
        names.update(agents.selected(decision))
    return names
