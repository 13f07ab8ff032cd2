"""Leases: claim a run, extend the lease."""

import time
from typing import Any

from agent_api import live
from agent_api.auth.principal import Principal
from agent_api.http import scopes
from agent_api.http.problems import LeaseExpired
from agent_api.http.responses import Response, no_content, ok
from db.engine import autocommit
from db.execution import claims, run_leases
from db.execution.claims import Claim

DEFAULT_SECONDS = 60
RETRY_SECONDS = 5
"""How soon a claim tries again without being woken, because others may lock a run and fail."""


def claim_run(principal: Principal, body: dict[str, Any]) -> Response:
    scopes.require(principal.scopes, scopes.WORK)
    wanted: dict[str, Any] = {
        "agent_ids": body["agent_ids"],
        "worker": principal.user_id,
        "seconds": body.get("lease_seconds") or DEFAULT_SECONDS,
    }
    claim = claims.claim(**wanted)
    if claim is None and (seconds := body.get("wait_seconds")):
        claim = _wait_for_claim(time.monotonic() + seconds, **wanted)
    if claim is None:
        return no_content()
    return ok({"lease": claim.lease, "lease_expires_at": claim.lease_expires_at}, run=claim.run)


def _wait_for_claim(until: float, **wanted: Any) -> Claim | None:
    names = [("queue", agent_id) for agent_id in wanted["agent_ids"]]
    with live.watch(names, user_id=wanted["worker"]) as queues:
        while (claim := claims.claim(**wanted)) is None:
            if (seconds := until - time.monotonic()) <= 0:
                break
            queues.wait(min(seconds, RETRY_SECONDS))
    return claim


def heartbeat_run(principal: Principal, run_id: str) -> Response:
    with autocommit() as connection:
        extended = run_leases.extend(
            connection, run_id=run_id, user_id=principal.user_id, seconds=principal.lease_seconds
        )
    if extended is None:
        raise LeaseExpired
    lease_expires_at, cancel_requested_at = extended
    return ok({"lease_expires_at": lease_expires_at, "cancel_requested_at": cancel_requested_at})
