"""Sends the statements of runs that wait, and of leases."""

from dataclasses import replace
from typing import Any

from db import runs
from db.conversations import conversation_deletion
from db.engine import Connection
from db.execution import busy, claims, expiry, lease_text, run_leases
from tests.db.rows import ABSENT_ID


def run_one_after_another(connection: Connection, user: str, conversation_id: str) -> None:
    """Let runs wait for each other, replace them, and delete the conversation of the last."""
    first, _ = [_new_run(connection, user, conversation_id, "queue") for _ in range(2)]
    runs.update(connection, run_id=first, user_id=user, changes={"status": "cancelled"})
    _new_run(connection, user, conversation_id, "replace")
    _new_run(connection, user, conversation_id, "queue")
    conversation_deletion.delete(connection, conversation_id=conversation_id, user_id=user)


def _new_run(connection: Connection, user: str, conversation_id: str, if_busy: str) -> str:
    new: dict[str, Any] = {
        "user_id": user,
        "conversation_id": conversation_id,
        "status": "pending",
    }
    waits = busy.apply_policy(connection, if_busy=if_busy, **new)
    run_id, _ = runs.insert(connection, **new, agent_id="a", waits=waits)
    return run_id


def expire_run(connection: Connection, user: str, run_id: str) -> str:
    """Let the lease of a run expire, and end the run."""
    use_lease(connection, user, run_id, seconds=-9)
    run_leases.postpone(connection, run_id=ABSENT_ID, user_id=user)
    expiry.expire(connection, run_id=run_id, user_id=user)
    return run_id


def use_lease(connection: Connection, user: str, run_id: str, *, seconds: int) -> str:
    """Claim runs until this one is claimed, and use its lease."""
    while claims.claim(agent_ids=["a", "b"], worker="w", seconds=9) is not None:
        pass
    lease = lease_text.issue(run_id=run_id, conversation_id=None, user_id=user, seconds=9)
    lease = replace(lease, seconds=seconds)
    run_leases.insert(connection, lease=lease, worker="w")
    run_leases.select_worker(connection, lease=lease)
    for with_conversation in (True, False):
        run_leases.lock(connection, lease=lease, with_conversation=with_conversation)
    if seconds > 0:
        run_leases.extend(connection, run_id=run_id, user_id=user, seconds=seconds)
    return run_id
