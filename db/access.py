"""The access rule of each resource, and the reason why a statement with that rule found no row.

The owner has access: statements include the rule as a condition on `acting_user`. If they find no
row, a member of the conversation may get a grant to act as its owner (docs/decisions/0019).
"""

from typing import NoReturn

from sqlalchemy import String, bindparam, select

from db import engine
from db.engine import Connection, MemberGrant, current_grant, roles
from db.engine.statement import Statement
from db.errors import Denied, Missing, RoleDenied
from db.models import (
    MEMBER_ROLES,
    Id,
    chat_attachments,
    conversations,
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
ATTACHMENT = chat_attachments.c.user_id == _user
RUN = runs.c.created_by == _user
RUN_EVENT = run_events.c.user_id == _user
LEASE = run_leases.c.user_id == _user
SHARE = shares.c.user_id == _user
QUEUED = run_queue.c.user_id == _user

# What a member does with a conversation, for the setting `purpose` of the role of members.
READ = "read"
WRITE = "write"
LEAVE = "leave"
_ROLES = {READ: MEMBER_ROLES, WRITE: ("editor",), LEAVE: MEMBER_ROLES}

# These statements see the rows of all users. Their role cannot read content.
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
        select(ATTACHMENT).where(chat_attachments.c.id == _row), role=roles.EXISTENCE
    ),
}


class Granted(Exception):  # it is not an error
    """The caller's own row was not found, but the caller may act for the owner of the row.

    The middleware then runs the handler once more, as the owner and under the grant.
    """

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
) -> NoReturn:
    """Raise Missing or Denied for a row that a statement with the access rule did not find.

    With `allows`, members of the row's conversation may do this if their role suffices: raise
    Granted for them, once per request. This rolls back the transaction. Successful requests of
    owners do not pay for it.
    """

    def decide(connection: Connection) -> NoReturn:
        asked = allows if current_grant() is None else None
        if asked is not None and resource == "conversation":
            _ask_membership(connection, resource, row_id, user_id, asked)
        found = _FIND[resource].row(connection, {"row_id": row_id, "acting_user": user_id})
        # If the user has access, the row was created after the first statement.
        if found is None or found[0]:
            raise Missing(resource)
        if asked is not None and resource != "conversation" and found[1] is not None:
            run_id = row_id if resource == "run" else None
            _ask_membership(connection, resource, found[1], user_id, asked, run_id)
        raise Denied(resource)

    engine.roll_back(connection, decide)


def _ask_membership(
    connection: Connection,
    resource: str,
    conversation_id: str,
    member_id: str,
    allows: str,
    run_id: str | None = None,
) -> None:
    found = memberships.select_one(connection, conversation_id=conversation_id, member_id=member_id)
    if found is not None:
        _decide(resource, found, conversation_id, member_id, allows, run_id)


def permit(
    connection: Connection,
    membership: Membership,
    *,
    conversation_id: str,
    member_id: str,
    allows: str,
) -> NoReturn:
    """Raise Granted for a membership that a statement has found instead of the caller's own row.

    It raises Denied if the member's role does not suffice.
    """

    def decide(_: Connection) -> NoReturn:
        _decide("conversation", membership, conversation_id, member_id, allows)

    engine.roll_back(connection, decide)


def _decide(
    resource: str,
    membership: Membership,
    conversation_id: str,
    member_id: str,
    allows: str,
    run_id: str | None = None,
) -> NoReturn:
    if membership.role not in _ROLES[allows]:
        raise RoleDenied(resource, membership.role)
    raise Granted(
        MemberGrant(
            membership.owner_id,
            conversation_id,
            member_id,
            membership.role,
            allows,
            run_id,
            membership.view,
        )
    )


def check(connection: Connection, grant: MemberGrant) -> None:
    """Raise Denied unless the member still has the grant's access: for streams, at each read."""
    found = memberships.select_one(
        connection, conversation_id=grant.conversation_id, member_id=grant.member_id
    )
    if found is None or found.owner_id != grant.owner_id or found.role not in _ROLES[grant.purpose]:
        raise Denied("conversation")
