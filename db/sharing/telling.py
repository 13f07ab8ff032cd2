"""Tells the members of a shared conversation about a change, in the transaction of the change.

Each member gets the change in their own log, in statements that act as the member. All of them are
sent in one message: the conversation stays locked until the end, and other writers wait for it. The
lock also keeps the members as they are. These statements keep the role of the transaction: that of
the owner, of a worker with a lease, or of a member who writes.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from db import access
from db.change_log import recording
from db.documents import Row
from db.engine import Connection, current_membership
from db.engine.statement import Statement
from db.errors import Denied
from db.messages.message_documents import NEW_MESSAGE
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
_now = recording.time_after(SHARED.latest)


def _record(change: str, resource: sa.ColumnElement[Any], at: sa.ColumnElement[Any]) -> sa.Insert:
    return recording.insertion_for(
        change,
        memberships,
        where=[_this],
        at=at,
        conversation_id=_c.conversation_id,
        resource_id=resource,
    )


_is_read = _c.user_id == sa.bindparam("read_by", type_=sa.String)
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
    **{
        change: Statement(_record(change, _resource, _now))
        for change in ("message.updated", "run.created", "run.updated")
    },
}

_ids = sa.cast(sa.bindparam("these_ids", type_=sa.ARRAY(Id)), sa.ARRAY(Id))
_these = [_c.conversation_id == sa.any_(_ids), _c.user_id == _user]
# In the order in which members lock their own memberships. Otherwise they could deadlock.
_select_members_of_all = Statement(
    sa.select(shares.c.member_id, shares.c.conversation_id)
    .where(shares.c.conversation_id == sa.any_(_ids), access.SHARE)
    .order_by(shares.c.member_id, shares.c.conversation_id)
)
# Sent before the deletion, so that its time is after the member's changes that it waits for.
_lock_all = Statement(
    sa.select(_c.conversation_id).where(*_these).order_by(_c.conversation_id).with_for_update()
)
_end_all = Statement(
    recording.insertion_for_each(
        "conversation.deleted", memberships, _c.conversation_id, where=_these, at=_now
    ),
    sa.delete(memberships).where(*_these),
)


def select_members(
    connection: Connection, *, conversation_id: str, owner_id: str
) -> dict[str, str]:
    """Return the roles of a conversation's members, in the order of their ids."""
    values = {"of_conversation": conversation_id, "acting_user": owner_id}
    return dict(_select_members.rows(connection, values))


def check_role(members: Mapping[str, str]) -> None:
    """Raise Denied if a member writes whose role has changed since the grant was made.

    `members` were selected under the lock of the conversation, which keeps them as they are.
    """
    membership = current_membership()
    if membership and members.get(membership.member_id) != membership.member_role:
        raise Denied("conversation")


def tell_of_message(
    connection: Connection,
    members: Collection[str],
    *,
    conversation_id: str,
    message: Row,
    agents: Sequence[str],
    position: int,
    read_by: str | None,
) -> None:
    """Tell the members about a new message, a row of NEW_MESSAGE's columns.

    `agents` are those that its routing decision selected. The member `read_by` has posted it: the
    others have not read it.
    """
    columns = dict(zip(NEW_MESSAGE.names, message, strict=True))
    values = {
        "of_resource": columns["id"],
        "at": f"{columns['created_at']}+00",
        "position": position,
        "read_by": read_by,
    }
    _tell_all(connection, "message.created", members, conversation_id, values)
    if agents:
        add_agents(connection, members, conversation_id=conversation_id, agents=agents)


def add_agents(
    connection: Connection, members: Collection[str], *, conversation_id: str, agents: Sequence[str]
) -> None:
    """Store the agents that routing decisions selected, for the lists of these members."""
    values = {"of_conversation": conversation_id, "new_agents": agents}
    _insert_agents.execute_each(
        connection, [values | {"acting_user": member_id} for member_id in members]
    )


def tell_of_message_update(
    connection: Connection, *, conversation_id: str, owner_id: str, message_id: str
) -> None:
    """Tell the members about a message that was edited or has lost an attachment."""
    members = select_members(connection, conversation_id=conversation_id, owner_id=owner_id)
    _tell_all(connection, "message.updated", members, conversation_id, {"of_resource": message_id})


def tell_of_update(
    connection: Connection, *, conversation_id: str, owner_id: str, agent_id: str | None
) -> None:
    """Tell the members about a change of the conversation, which has this agent now."""
    members = select_members(connection, conversation_id=conversation_id, owner_id=owner_id)
    values = {"new_agent_id": agent_id}
    _tell_all(connection, "conversation.updated", members, conversation_id, values)


def tell_of_deletion(
    connection: Connection, *, conversation_ids: Sequence[str], owner_id: str
) -> None:
    """Tell the members that these conversations will be deleted, and end their memberships."""
    values = {"acting_user": owner_id, "these_ids": conversation_ids}
    shared: dict[str, list[str]] = {}
    for member_id, conversation_id in _select_members_of_all.rows(connection, values):
        shared.setdefault(member_id, []).append(conversation_id)
    of_each = [
        {"acting_user": member_id, "these_ids": ids, "change_ids": [new_id() for _ in ids]}
        for member_id, ids in shared.items()
    ]
    _lock_all.execute_each(connection, of_each)
    _end_all.execute_each(connection, of_each)
    for member_id in shared:
        recording.announce(connection, member_id)


def tell_of_run(
    connection: Connection, change: str, *, conversation_id: str, owner_id: str, run_id: str
) -> None:
    """Tell the members about a run of the conversation: `run.created` or `run.updated`."""
    members = select_members(connection, conversation_id=conversation_id, owner_id=owner_id)
    _tell_all(connection, change, members, conversation_id, {"of_resource": run_id})


def _tell_all(
    connection: Connection,
    change: str,
    members: Collection[str],
    conversation_id: str,
    values: dict[str, Any],
) -> None:
    this = {**values, "of_conversation": conversation_id}
    _tell[change].execute_each(
        connection,
        [this | {"acting_user": member_id, "change_id": new_id()} for member_id in members],
    )
    for member_id in members:
        recording.announce(connection, member_id)
