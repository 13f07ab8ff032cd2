"""The access rule of each resource, and what follows if a statement with it finds no row.

Only the owner has access: statements include the rule as a condition on `acting_user`. A member of
a shared conversation gets it in a second attempt (docs/decisions/0019):

1. The middleware runs the handler as the caller. Its statement finds no row of the caller, so its
   query calls `refuse`, which looks for the caller's membership in the row's conversation. If the
   member may do what the query `allows`, it raises Granted. Otherwise the request fails.
2. The middleware (`agent_api.middleware.execution`) runs the handler again as the owner, under the
   grant (`db.engine.acting`). If a statement finds no row now, the request fails.
"""

from functools import partial
from typing import NoReturn

from sqlalchemy import String, bindparam, null, select

from db import engine
from db.engine import Connection, MemberGrant, current_grant, roles
from db.engine.statement import Statement
from db.errors import Denied, Missing, RoleDenied
from db.models import (
    MEMBER_ROLES,
    Id,
    chat_attachments,
    conversations,
    links,
    message_versions,
    messages,
    run_events,
    run_leases,
    run_queue,
    runs,
    shares,
)
from db.sharing import memberships
from db.sharing.memberships import Membership

_user = bindparam("acting_user", type_=String)
_row = bindparam("row_id", type_=Id)

CONVERSATION = conversations.c.user_id == _user
MESSAGE = messages.c.user_id == _user
MESSAGE_VERSION = message_versions.c.user_id == _user
ATTACHMENT = chat_attachments.c.user_id == _user
RUN = runs.c.created_by == _user
RUN_EVENT = run_events.c.user_id == _user
LEASE = run_leases.c.user_id == _user
SHARE = shares.c.user_id == _user
LINK = links.c.user_id == _user
QUEUED = run_queue.c.user_id == _user

# What a member does with a conversation, for the setting `purpose` of the role of members.
READ = "read"
WRITE = "write"
BRANCH = "branch"
LEAVE = "leave"
RATE = "rate"
_ROLES = {
    READ: MEMBER_ROLES,
    WRITE: ("editor",),
    BRANCH: ("editor",),
    LEAVE: MEMBER_ROLES,
    RATE: MEMBER_ROLES,
}

# Whether the caller owns the row, and its conversation. These statements see the rows of all users.
# Their role cannot read content.
_FIND = {
    "conversation": Statement(
        select(CONVERSATION, conversations.c.id).where(conversations.c.id == _row),
        role=roles.EXISTENCE,
    ),
    "message": Statement(
        select(MESSAGE, messages.c.conversation_id).where(messages.c.id == _row),
        role=roles.EXISTENCE,
    ),
    "run": Statement(
        select(RUN, runs.c.conversation_id).where(runs.c.id == _row), role=roles.EXISTENCE
    ),
    "attachment": Statement(
        select(ATTACHMENT, null()).where(chat_attachments.c.id == _row), role=roles.EXISTENCE
    ),
}


class Granted(Exception):  # it is not an error
    """Ends the first attempt: the caller may act for the owner of the row."""

    def __init__(self, grant: MemberGrant) -> None:
        super().__init__()
        self.grant = grant


def refuse(
    connection: Connection,
    resource: str,
    *,
    row_id: str,
    user_id: str,
    allows: str | None = None,
    membership: Membership | None = None,
) -> NoReturn:
    """End an attempt whose statement found no row of the user: roll back, and raise the reason.

    Raises Missing or Denied; in the first attempt and with `allows` also Granted or, if the
    member's role does not suffice, RoleDenied. `membership` is the user's in a conversation, if the
    statement has already found it. Successful requests of owners do not pay for this.
    """
    admit = partial(_admit, resource=resource, row_id=row_id, user_id=user_id, allows=allows)

    def decide(connection: Connection) -> NoReturn:
        if resource == "conversation":  # before the statement that asks all nodes
            admit(connection, conversation_id=row_id, membership=membership)
        found = _FIND[resource].row(connection, {"row_id": row_id, "acting_user": user_id})
        # If the user has access, the row was created after the first statement.
        if found is None or found[0]:
            raise Missing(resource)
        conversation_id = found[1]
        if resource != "conversation" and conversation_id is not None:
            admit(connection, conversation_id=conversation_id)
        raise Denied(resource)

    engine.roll_back(connection, decide)


def _admit(
    connection: Connection,
    *,
    resource: str,
    row_id: str,
    user_id: str,
    allows: str | None,
    conversation_id: str,
    membership: Membership | None = None,
) -> None:
    """Raise Granted or RoleDenied if this is the first attempt, and of a member."""
    if allows is None or current_grant() is not None:
        return
    if membership is None:
        membership = memberships.select_one(
            connection, conversation_id=conversation_id, member_id=user_id
        )
    if membership is None:
        return
    if membership.role not in _ROLES[allows]:
        raise RoleDenied(resource, membership.role)
    raise Granted(
        MemberGrant(
            membership.owner_id,
            conversation_id,
            user_id,
            membership.role,
            allows,
            run_id=row_id if resource == "run" else None,
            view=membership.view,
        )
    )


def check(connection: Connection, grant: MemberGrant) -> None:
    """Raise Denied unless the member still has the grant's access: for streams, at each read."""
    found = memberships.select_one(
        connection, conversation_id=grant.conversation_id, member_id=grant.member_id
    )
    if found is None or found.owner_id != grant.owner_id or found.role not in _ROLES[grant.purpose]:
        raise Denied("conversation")
