"""Remembers the lease under which the statements of the current request act.

A worker that sends a lease acts as the run's owner. Its statements have another role, which sees
only the run and its conversation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple


class Lease(NamedTuple):
    """What the role of workers may see, in addition to the acting user."""

    run_id: str
    conversation_id: str | None


# Each request has its own context, so this is never another request's lease.
_lease: ContextVar[Lease | None] = ContextVar("lease", default=None)


def act_under(lease: Lease) -> None:
    """Use the role of workers for the rest of the request."""
    _lease.set(lease)


@contextmanager
def acting_under(lease: Lease) -> Iterator[None]:
    """Use the role of workers in the block."""
    token = _lease.set(lease)
    try:
        yield
    finally:
        _lease.reset(token)


def current_lease() -> Lease | None:
    """Return the lease under which statements act, or None for those of a user."""
    return _lease.get()
