"""Tells the members of a shared conversation about a change, in the transaction of the change.

Each member gets the change in their own log, in a message that acts as the member. The caller has
locked the conversation, so nobody shares it or stops sharing it meanwhile. These statements keep
the role of the transaction: that of the owner, of a worker with a lease, or of a member who writes.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from db import access
from db.change_log import recording
from db.documents import MESSAGE, Row
from db.engine import Connection
from db.engine.statement import Statement
from db.models import Id, Moment, conversations, memberships, new_id, shares
from db.organising import agents as agents_of
from db.organising.listed import SHARED

UNSHARED = sa.not_(conversations.c.was_shared)
"""The condition for a write that need not tell anybody: the conversation was never shared."""

_c = memberships.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_user = sa.bindparam("acting_user", type_=sa.String)
_this = sa.and_(_c.conversation_id == _conversation, _c.user_id == _user)
_select_members = Statement(
    sa.select(shares.c.member_id, shares.c.role)
    .where(shares.c.conversation_id == _conversation, access.SHARE)
    .order_by(shares.c.member_id)
)
_message_at = sa.cast(sa.bindparam("at", type_=sa.Text), Moment)
_message_or_share = sa.func.greatest(_message_at, recording.microsecond_after(_c.shared_at))
# The statements of a writer that has waited began before the conversation was shared.
_now = recording.time_after(sa.func.greatest(_c.updated_at, _c.shared_at))


def _record(change: str, resource: sa.ColumnElement[Any], at: sa.ColumnElement[Any]) -> sa.Insert:
    return recording.insertion_for(
        change,
        memberships,
        where=[_this],
        at=at,
        conversation_id=_c.conversation_id,
        resource_id=resource,
    )


_is_read = sa.bindparam("is_read", type_=sa.Boolean)
_position = sa.bindparam("position", type_=sa.BigInteger)
_insert_agents = Statement(agents_of.insertion(SHARED, _this))
_resource = sa.bindparam("of_resource", type_=Id)
_move = sa.update(memberships).where(_this)
_tell = {
    "message.created": Statement(
        _record("message.created", _resource, _message_or_share),
        _move.values(
            updated_at=_message_at,
            read_position=sa.case((_is_read, _position), else_=_c.read_position),
            unread_count=sa.case((_is_read, 0), else_=_c.unread_count + 1),
        ),
    ),
    "conversation.updated": Statement(
        _record("conversation.updated", _c.conversation_id, _now),
        _move.values(agent_id=sa.bindparam("new_agent_id", type_=_c.agent_id.type)),
    ),
    "conversation.deleted": Statement(
        _record("conversation.deleted", _c.conversation_id, _now),
        sa.delete(memberships).where(_this),
    ),
    **{
        change: Statement(_record(change, _resource, _now))
        for change in ("message.updated", "run.created", "run.updated")
    },
}


def select_members(
    connection: Connection, *, conversation_id: str, owner_id: str
) -> dict[str, str]:
    """Return the roles of a conversation's members, in the order of their ids."""
    values = {"of_conversation": conversation_id, "acting_user": owner_id}
    return dict(_select_members.rows(connection, values))


def tell_of_message(
    connection: Connection,
    members: Iterable[str],
    *,
    conversation_id: str,
    message: Row,
    agents: Sequence[str],
    position: int,
    read_by: str | None,
) -> None:
    """Tell the members about a new message, a row of MESSAGE's columns.

    `agents` are those that its routing decision selected. The member `read_by` has posted it: the
    others have not read it.
    """
    columns = dict(zip(MESSAGE.names, message, strict=True))
    values = {"of_resource": columns["id"], "at": f"{columns['created_at']}+00"}
    for member_id in members:
        seen = {"is_read": member_id == read_by, "position": position}
        _tell_all(connection, "message.created", [member_id], conversation_id, values | seen)
        if agents:
            add_agents(
                connection, conversation_id=conversation_id, member_id=member_id, agents=agents
            )


def add_agents(
    connection: Connection, *, conversation_id: str, member_id: str, agents: Sequence[str]
) -> None:
    """Store the agents that routing decisions selected, for the member's list."""
    values = {"acting_user": member_id, "of_conversation": conversation_id, "new_agents": agents}
    _insert_agents.rowcount(connection, values)


def tell_of_removal(
    connection: Connection, *, conversation_id: str, owner_id: str, message_id: str
) -> None:
    """Tell the members about a message that does not show one of its attachments any more."""
    members = select_members(connection, conversation_id=conversation_id, owner_id=owner_id)
    _tell_all(connection, "message.updated", members, conversation_id, {"of_resource": message_id})


def tell_of_update(
    connection: Connection, *, conversation_id: str, owner_id: str, agent_id: str | None
) -> None:
    """Tell the members about a change of the conversation, which has this agent now."""
    members = select_members(connection, conversation_id=conversation_id, owner_id=owner_id)
    values = {"new_agent_id": agent_id}
    _tell_all(connection, "conversation.updated", members, conversation_id, values)


def tell_of_deletion(connection: Connection, *, conversation_id: str, owner_id: str) -> None:
    """Tell the members that the conversation will be deleted, and end their memberships."""
    members = select_members(connection, conversation_id=conversation_id, owner_id=owner_id)
    _tell_all(connection, "conversation.deleted", members, conversation_id, {})


def tell_of_run(
    connection: Connection, change: str, *, conversation_id: str, owner_id: str, run_id: str
) -> None:
    """Tell the members about a run of the conversation: `run.created` or `run.updated`."""
    members = select_members(connection, conversation_id=conversation_id, owner_id=owner_id)
    _tell_all(connection, change, members, conversation_id, {"of_resource": run_id})


def _tell_all(
    connection: Connection,
    change: str,
    members: Iterable[str],
    conversation_id: str,
    values: dict[str, Any],
) -> None:
    for member_id in members:
        who = {"acting_user": member_id, "of_conversation": conversation_id, "change_id": new_id()}
        _tell[change].rowcount(connection, values | who)
        recording.announce(connection, member_id)
