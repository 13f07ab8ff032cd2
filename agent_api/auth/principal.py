"""Defines Principal, the caller as handlers see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: `user_id` is the `sub` of the token, `scopes` its `scope`.

    `expires_at` is the token's `exp`, in seconds since 1970. With a lease, `user_id` is the owner
    of the run, and `lease_seconds` for how long a heartbeat extends the lease. If a conversation is
    shared with the caller, `user_id` is its owner, and `member_id` the caller.
    """

    user_id: str
    scopes: frozenset[str]
    expires_at: float
    lease_seconds: int = 0
    member_id: str | None = None

    @property
    def caller_id(self) -> str:
        """The user who reads lists and streams: not the owner of what is shared with them."""
        return self.member_id or self.user_id
