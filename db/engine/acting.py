"""Remembers the grant under which the statements of the current request act for another user.

A worker with a lease acts as the owner of a run, and a member as the owner of a shared
conversation. Their statements have another role, which sees only what the grant names.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from db.engine import roles


class Lease(NamedTuple):
    """What a worker may see, in addition to the acting user."""

    run_id: str
    conversation_id: str | None

    @property
    def role(self) -> str:
        return roles.WORKER

    def settings(self) -> dict[str, str]:
        """Return the values of the settings that the role's policies read."""
        return {"run": self.run_id, "conversation": self.conversation_id or ""}


class MemberGrant(NamedTuple):
    """What a member may see, in addition to the acting user: the owner of a conversation."""

    owner_id: str
    conversation_id: str
    member_id: str
    member_role: str
    purpose: str
    """What the statements may do: see `db.access`."""
    run_id: str | None = None
    """The run whose events are visible."""
    view: Any = None
    """What the member sees of the conversation: a `db.documents.MemberView`."""

    @property
    def role(self) -> str:
        return roles.MEMBER

    def settings(self) -> dict[str, str]:
        """Return the values of the settings that the role's policies read."""
        return {
            "run": self.run_id or "",
            "conversation": self.conversation_id,
            "member": self.member_id,
            "purpose": self.purpose,
        }


Grant = Lease | MemberGrant

# Each request has its own context, so this is never another request's grant.
_grant: ContextVar[Grant | None] = ContextVar("grant", default=None)


def act_under(grant: Grant) -> None:
    """Use the role of the grant for the rest of the request."""
    _grant.set(grant)


@contextmanager
def acting_under(grant: Grant) -> Iterator[None]:
    """Use the role of the grant in the block."""
    token = _grant.set(grant)
    try:
        yield
    finally:
        _grant.reset(token)


def current_grant() -> Grant | None:
    """Return the grant under which statements act, or None for those of a user."""
    return _grant.get()


def current_membership() -> MemberGrant | None:
    """Return the grant if it is a member's."""
    grant = _grant.get()
    return grant if isinstance(grant, MemberGrant) else None
