"""What keeps a claim, and what ends it."""

import time

import httpx
import pytest

from tests.calls import change, ids, new_conversation, new_run, read
from tests.contract import assert_problem
from tests.processes import wait_until
from tests.workers import (
    EXPIRED_SECONDS,
    LEASE_SECONDS,
    NewWorker,
    Worker,
    claimed_run,
    new_agent,
)

# The lease


@pytest.mark.slow
def test_heartbeats_keep_a_run(alice: httpx.Client, worker: Worker) -> None:
    claim = claimed_run(alice, worker, lease_seconds=LEASE_SECONDS)
    before = alice.get(claim.path)

    for _ in range(4):
        time.sleep(LEASE_SECONDS / 2)
        beat = worker.heartbeat(claim)
        assert beat.status_code == 200, beat.text
        assert beat.json()["cancel_requested_at"] is None
        assert beat.json()["lease_expires_at"] > claim.lease_expires_at

    after = alice.get(claim.path)
    assert after.json() == before.json()
    assert after.headers["etag"] == before.headers["etag"]


@pytest.mark.slow
def test_run_of_a_killed_worker_comes_back_and_ends_after_three_attempts(
    alice: httpx.Client, new_worker: NewWorker
) -> None:
    agent = new_agent()
    run = new_run(alice, agent_id=agent)
    path = f"/runs/{run['id']}"
    claims = []
    for attempt in (1, 2, 3):
        worker = new_worker()
        claim = worker.claim(agent, lease_seconds=LEASE_SECONDS, wait_seconds=EXPIRED_SECONDS)
        claims.append((worker, claim))
        assert claim.run | {"id": run["id"], "attempts": attempt} == claim.run

    wait_until(lambda: read(alice, path)["status"] == "timeout", EXPIRED_SECONDS)

    ended = read(alice, path)
    assert ended["attempts"] == 3
    assert ended["finished_at"] is not None
    assert "worker" in ended["error"]
    assert new_worker().ask(agent).status_code == 204
    for worker, claim in claims:
        problem = assert_problem(worker.update(claim, status="succeeded"), 403)
        assert problem["type"] == "/problems/lease-expired"


@pytest.mark.slow
def test_requeued_run_is_pending_and_keeps_its_place(
    alice: httpx.Client, worker: Worker, new_worker: NewWorker
) -> None:
    agent = new_agent()
    first, second = (new_run(alice, agent_id=agent) for _ in range(2))
    lost = worker.claim(agent, lease_seconds=LEASE_SECONDS)

    wait_until(lambda: read(alice, lost.path)["status"] == "pending", EXPIRED_SECONDS)
    requeued = read(alice, lost.path)
    claims = [new_worker().claim(agent) for _ in range(2)]

    assert requeued["started_at"] is None
    assert requeued["attempts"] == 1
    assert ids([claim.run for claim in claims]) == [first["id"], second["id"]]
    problem = assert_problem(worker.heartbeat(lost), 403)
    assert problem["type"] == "/problems/lease-expired"


@pytest.mark.slow
def test_cancelled_run_of_a_killed_worker_is_not_claimed_again(
    alice: httpx.Client, worker: Worker
) -> None:
    claim = claimed_run(alice, worker, lease_seconds=LEASE_SECONDS)
    assert alice.post(f"{claim.path}/cancel").status_code == 200

    wait_until(lambda: read(alice, claim.path)["status"] == "cancelled", EXPIRED_SECONDS)


@pytest.mark.parametrize("status", ["succeeded", "failed", "timeout", "cancelled"])
def test_lease_ends_with_its_run(alice: httpx.Client, worker: Worker, status: str) -> None:
    claim = claimed_run(alice, worker)

    ended = worker.update(claim, status=status)
    again = worker.heartbeat(claim)

    assert ended.json()["status"] == status
    assert assert_problem(again, 403)["type"] == "/problems/lease-expired"


def test_run_that_its_owner_started_needs_no_lease(alice: httpx.Client, worker: Worker) -> None:
    conversation = new_conversation(alice)
    run = new_run(alice, agent_id=new_agent(), conversation_id=conversation["id"])

    change(alice, f"/runs/{run['id']}", status="running")
    ended = change(alice, f"/runs/{run['id']}", status="succeeded")

    assert ended["attempts"] == 0
    assert worker.ask(run["agent_id"]).status_code == 204
