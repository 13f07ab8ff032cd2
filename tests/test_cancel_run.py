"""Cancelling runs, from another device, in each status."""

from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.calls import Json, at_once, change, messages_of, new_run, post_message, read
from tests.workers import Worker, claimed_run, new_agent


def cancel(client: httpx.Client, run: Json) -> Json:
    response = client.post(f"/runs/{run['id']}/cancel")
    assert response.status_code == 200, response.text
    assert response.headers["etag"] == client.get(f"/runs/{run['id']}").headers["etag"]
    document: Json = response.json()
    return document


@pytest.fixture
def phone(alice: httpx.Client, new_client: Callable[..., httpx.Client]) -> httpx.Client:
    """Another client of Alice."""
    return new_client(read(alice, "/users/me/chat-settings")["user_id"])


def test_cancel_run_ends_a_pending_run(
    alice: httpx.Client, phone: httpx.Client, worker: Worker
) -> None:
    run = new_run(alice, agent_id=new_agent())

    cancelled = cancel(phone, run)

    assert cancelled["status"] == "cancelled"
    assert cancelled["finished_at"] == cancelled["updated_at"] > run["updated_at"]
    assert cancelled["cancel_requested_at"] is None
    assert worker.ask(run["agent_id"]).status_code == 204


def test_cancel_run_asks_the_worker_of_a_running_run(
    alice: httpx.Client, phone: httpx.Client, worker: Worker, conversation: Json
) -> None:
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    post_message(alice, conversation, "Stop, please")
    before = worker.heartbeat(claim).json()

    requested = cancel(phone, claim.run)
    again = cancel(alice, claim.run)
    beat = worker.heartbeat(claim).json()
    part = {"role": "assistant", "content": "As far as I"}
    ended = worker.update(claim, status="cancelled", message=part)

    assert before["cancel_requested_at"] is None
    assert requested["status"] == "running"
    assert requested["cancel_requested_at"] == requested["updated_at"]
    assert again == requested
    assert beat["cancel_requested_at"] == requested["cancel_requested_at"]
    assert ended.json()["status"] == "cancelled"
    assert read(alice, messages_of(conversation))["messages"][-1]["content"] == "As far as I"


def test_cancel_run_asks_for_a_run_without_a_lease_too(alice: httpx.Client) -> None:
    run = new_run(alice, status="running")

    assert cancel(alice, run)["cancel_requested_at"] is not None
    assert change(alice, f"/runs/{run['id']}", status="succeeded")["status"] == "succeeded"


@pytest.mark.parametrize("status", ["succeeded", "failed", "timeout", "cancelled"])
def test_cancel_run_leaves_an_ended_run_unchanged(alice: httpx.Client, status: str) -> None:
    run = new_run(alice, status="running")
    ended = change(alice, f"/runs/{run['id']}", status=status)

    assert cancel(alice, run) == ended


def test_cancel_run_and_claim_run_do_not_lose_a_run(
    alice: httpx.Client, worker: Worker, new_client: Callable[..., httpx.Client]
) -> None:
    for _ in range(10):
        run = new_run(alice, agent_id=new_agent())
        asking = partial(worker.ask, run["agent_id"])
        cancelling = partial(alice.post, f"/runs/{run['id']}/cancel")

        claim, _ = at_once([asking, cancelling])

        found = read(alice, f"/runs/{run['id']}")
        if claim.status_code == 204:
            assert found["status"] == "cancelled"
        else:
            assert found["status"] == "running"
            assert found["cancel_requested_at"] is not None
