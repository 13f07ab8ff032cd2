"""Verifies the lease of a worker, which then acts as the owner of its run.

The token says who the worker is, and the lease which run it may work on.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from agent_api.contract.operation import Request
from agent_api.contract.security import LEASE_HEADER, LeaseUse
from agent_api.http import scopes
from agent_api.http.problems import LeaseExpired, LeaseRefused
from agent_api.http.responses import Response
from agent_api.middleware.rate_limiting import RateLimiter
from db.engine import act_under, autocommit, transaction
from db.execution import lease_text, run_leases
from db.execution.lease_text import LeaseText

_HEADER = LEASE_HEADER.lower().encode()
_CHANGE_ONLY_THE_RUN = frozenset({"append_run_events", "heartbeat_run"})
"""Other changes lock the conversation as well, whose lock must come before that of the run."""


def has_lease(request: Request) -> bool:
    """Return whether the request sends a lease, or must send one."""
    if not request.operation.requires_token:
        return False
    return _HEADER in request.headers or request.operation.lease_use is LeaseUse.REQUIRED


def run(
    request: Request, limiter: RateLimiter | None, handle: Callable[[Request], Response]
) -> Response:
    """Return what `handle` responds to the request, with the run's owner as its principal.

    A change shares a transaction with the check of its lease, which locks the run: nobody can take
    the lease away before the change is committed.

    Raises InsufficientScope, LeaseRefused and LeaseExpired.
    """
    if limiter is not None:
        limiter.take(request.scope)
    lease = _read(request)
    operation = request.operation
    if operation.method == "GET":  # also for HEAD
        with autocommit() as connection:
            worker = run_leases.select_worker(connection, lease=lease)
        return handle(_as_owner(request, lease, worker))
    with transaction() as connection:
        several = operation.operation_id not in _CHANGE_ONLY_THE_RUN
        worker = run_leases.lock(connection, lease=lease, with_conversation=several)
        return handle(_as_owner(request, lease, worker))


def _as_owner(request: Request, lease: LeaseText, worker: str | None) -> Request:
    """Return the request of the lease's worker as one of the run's owner."""
    assert request.principal is not None
    if worker is None:
        raise LeaseExpired
    if worker != request.principal.user_id:
        raise LeaseRefused("This lease belongs to another worker.")
    act_under(lease.scope)
    principal = replace(
        request.principal,
        user_id=lease.user_id,
        scopes=frozenset(),
        # A stream ends when the lease would, and its worker opens it again.
        expires_at=min(request.principal.expires_at, time.time() + lease.seconds),
        lease_seconds=lease.seconds,
    )
    arguments = dict(request.arguments)
    if "principal" in arguments:
        arguments["principal"] = principal
    key = request.idempotency_key
    if key is not None:
        # The owner's keys cannot contain spaces, so a worker's key is never one of them.
        key = f"lease {lease.run_id} {sha256(key.encode()).hexdigest()}"
    return request._replace(principal=principal, arguments=arguments, idempotency_key=key)


def _read(request: Request) -> LeaseText:
    """Return the lease of the request, which must be for the run and conversation of its path."""
    assert request.principal is not None
    if request.operation.lease_use is LeaseUse.REFUSED:
        raise LeaseRefused(f"This operation does not accept the header {LEASE_HEADER}.")
    scopes.require(request.principal.scopes, scopes.WORK)
    values = request.headers.get(_HEADER, [])
    if len(values) != 1:
        raise LeaseRefused(f"Send the lease of the run in one header {LEASE_HEADER}.")
    try:
        lease = lease_text.read(values[0].decode("latin-1"))
    except ValueError as error:
        raise LeaseRefused(f"The value of the header {LEASE_HEADER} is not a lease.") from error
    for name in ("run_id", "conversation_id"):
        if request.arguments.get(name, getattr(lease, name)) != getattr(lease, name):
            raise LeaseRefused(f"This lease is for another {name.removesuffix('_id')}.")
    return lease
