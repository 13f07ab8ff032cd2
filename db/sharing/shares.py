"""Queries for the shares of conversations.

Each write first locks the conversation, so that others neither share it nor write to it meanwhile.
It then changes the share with the conversation and, acting as the member, the membership.
"""

from typing import Any

import sqlalchemy as sa

from db import access
from db.change_log import recording
from db.documents import SHARE, to_json, utc
from db.engine import Connection
from db.engine.statement import Statement
from db.errors import Conflict, Missing
from db.models import MAX_MEMBERS, Id, conversation_agents, conversations, new_id, shares
from db.sharing import memberships, telling

_c = shares.c
_conversation = sa.bindparam("of_conversation", type_=Id)
_member = sa.bindparam("of_member", type_=sa.String)
_role = sa.bindparam("new_role", type_=sa.String)
_this_conversation = sa.and_(conversations.c.id == _conversation, access.CONVERSATION)
_of_conversation = sa.and_(_c.conversation_id == _conversation, access.SHARE)
_this = sa.and_(_of_conversation, _c.member_id == _member)
_now = sa.func.statement_timestamp()

_COPIED = ("created_at", "updated_at", "source", "agent_id", "message_count")
"""The columns of a conversation that its memberships have, too."""

# The strongest lock, which also waits for new runs: their foreign key locks the conversation.
_lock = Statement(
    sa.select(
        *(utc(conversations.c[name]) for name in _COPIED[:2]),
        *(conversations.c[name] for name in _COPIED[2:]),
    )
    .where(_this_conversation)
    .with_for_update()
)
_select_one = Statement(sa.select(*SHARE.columns).where(_this))


def _list() -> Statement:
    """Return the statement that has one row without a share if the conversation has none."""
    found = sa.select(*SHARE.columns, _c.created_at.label("at")).where(_of_conversation)
    rows = found.subquery("found")
    return Statement(
        sa.select(rows)
        .select_from(sa.outerjoin(conversations, rows, sa.true()))
        .where(_this_conversation)
        .order_by(rows.c.at, rows.c.member_id)
    )


def _record(change: str) -> sa.Insert:
    return recording.insertion(
        f"share.{change}",
        conversation_id=_conversation,
        resource_id=sa.bindparam("share_id", type_=Id),
        at=_now,
    )


_select_page = _list()
_select_agents = Statement(
    sa.select(conversation_agents.c.agent_id).where(
        conversation_agents.c.conversation_id == _conversation,
        conversation_agents.c.user_id == sa.bindparam("acting_user", type_=sa.String),
    )
)
_count_members = Statement(sa.select(sa.func.count()).select_from(shares).where(_of_conversation))
_insert = Statement(
    _record("created"),
    sa.update(conversations)
    .where(_this_conversation, sa.not_(conversations.c.was_shared))
    .values(was_shared=True),
    sa.insert(shares)
    .values(
        id=sa.bindparam("share_id", type_=Id),
        conversation_id=_conversation,
        user_id=sa.bindparam("acting_user", type_=sa.String),
        member_id=_member,
        role=_role,
        created_at=_now,
    )
    .returning(*SHARE.columns),
)
_update = Statement(
    _record("updated"),
    sa.update(shares).where(_this).values(role=_role).returning(*SHARE.columns),
)
_delete = Statement(sa.delete(shares).where(_this).returning(_c.id))
_record_delete = Statement(_record("deleted"))


def upsert(
    connection: Connection, *, conversation_id: str, user_id: str, member_id: str, role: str
) -> bytes:
    """Share a conversation with a member, or change the member's role; return the document.

    This also repairs a share and a membership that differ. It needs a transaction. Raises Missing
    and Denied for the conversation, and Conflict if it has MAX_MEMBERS members.
    """
    values: dict[str, Any] = {
        "of_conversation": conversation_id,
        "acting_user": user_id,
        "of_member": member_id,
        "new_role": role,
        "change_id": new_id(),
    }
    conversation = _lock.row(connection, values)
    if conversation is None:
        access.refuse(connection, "conversation", row_id=conversation_id, user_id=user_id)
    created_at, updated_at, source, agent_id, message_count = conversation
    membership = memberships.select_one(
        connection, conversation_id=conversation_id, member_id=member_id
    )
    found = _select_one.row(connection, values)
    if found is None:
        if _count_members.scalar(connection, values) >= MAX_MEMBERS:
            raise Conflict(f"This conversation has {MAX_MEMBERS} members: remove one first.")
        row = _insert.row(connection, values | {"share_id": new_id()})
    else:
        named = dict(zip(SHARE.names, found, strict=True))
        if named["role"] == role and membership and membership[:2] == (user_id, role):
            return SHARE.write(found)
        row = _update.row(connection, values | {"share_id": named["id"]})
    recording.announce(connection, user_id)
    named = dict(zip(SHARE.names, row, strict=True))
    memberships.upsert(
        connection,
        conversation_id=conversation_id,
        member_id=member_id,
        is_new=membership is None,
        owner_id=user_id,
        share_id=named["id"],
        role=role,
        shared_at=f"{named['created_at']}+00",
        created_at=f"{created_at}+00",
        updated_at=f"{updated_at}+00",
        source=source,
        agent_id=agent_id,
        unread_count=message_count,
    )
    agents = [agent for (agent,) in _select_agents.rows(connection, values)]
    if agents:
        telling.add_agents(connection, [member_id], conversation_id=conversation_id, agents=agents)
    return SHARE.write(row)


def select_page(connection: Connection, *, conversation_id: str, user_id: str) -> bytes:
    """Return the JSON array of a conversation's shares, oldest first.

    Raises Missing, Denied and Granted.
    """
    values = {"of_conversation": conversation_id, "acting_user": user_id}
    rows = _select_page.rows(connection, values)
    if not rows:
        access.refuse(
            connection,
            "conversation",
            row_id=conversation_id,
            user_id=user_id,
            allows=access.READ,
        )
    width = len(SHARE.names)
    return to_json([SHARE.structure(*row[:width]) for row in rows if row[0] is not None])


def delete(
    connection: Connection, *, conversation_id: str, user_id: str, member_id: str, leaves: bool
) -> None:
    """Stop sharing a conversation with a member, who `leaves` if the caller is the member.

    It needs a transaction. Raises Missing, Denied and Granted for the conversation, and Missing for
    a user who is not a member.
    """
    values: dict[str, Any] = {
        "of_conversation": conversation_id,
        "acting_user": user_id,
        "of_member": member_id,
        "change_id": new_id(),
    }
    if _lock.row(connection, values) is None:
        access.refuse(
            connection,
            "conversation",
            row_id=conversation_id,
            user_id=user_id,
            allows=access.LEAVE if leaves else None,
        )
    share_id = _delete.scalar(connection, values)
    if share_id is None:
        raise Missing("member")
    _record_delete.rowcount(connection, values | {"share_id": share_id})
    recording.announce(connection, user_id)
    memberships.delete(connection, conversation_id=conversation_id, member_id=member_id)
