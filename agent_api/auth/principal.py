"""Defines Principal, the caller as handlers see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller: `user_id` is the `sub` of the token, `scopes` its `scope`.

    `expires_at` is the token's `exp`, in seconds since 1970. With a lease, `user_id` is the owner
    of the run, and `lease_seconds` for how long a heartbeat extends the lease.
    """

    user_id: str
    scopes: frozenset[str]
    expires_at: float
    lease_seconds: int = 0
