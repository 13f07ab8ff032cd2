"""Busy conversations: `if_busy` of create_run, and what lets a waiting run continue."""

from collections.abc import Callable
from functools import partial

import httpx
import pytest

from tests.calls import Json, at_once, change, ids, new_conversation, new_run, read, read_all, rows
from tests.concurrency.races import WRITERS
from tests.contract import assert_problem, places
from tests.processes import wait_until
from tests.workers import EXPIRED_SECONDS, LEASE_SECONDS, Claim, Worker, new_agent

Act = Callable[[httpx.Client, Worker, Json], object]


@pytest.fixture
def agent() -> str:
    return new_agent()


@pytest.fixture
def create(alice: httpx.Client, agent: str, conversation: Json) -> Callable[..., Json]:
    """Create a run in the conversation."""
    return partial(new_run, alice, agent_id=agent, conversation_id=conversation["id"])


def try_run(client: httpx.Client, agent: str, conversation: Json, if_busy: str) -> httpx.Response:
    body = {"agent_id": agent, "conversation_id": conversation["id"], "if_busy": if_busy}
    return client.post("/runs", json=body)


@pytest.mark.parametrize("if_busy", [None, "allow"])
def test_allow_ignores_other_runs(
    create: Callable[..., Json], worker: Worker, agent: str, if_busy: str | None
) -> None:
    made = [create(if_busy=if_busy) for _ in range(2)]

    assert ids([worker.claim(agent).run for _ in made]) == ids(made)


@pytest.mark.parametrize("policy", ["reject", "queue", "replace"])
def test_nothing_waits_in_an_idle_conversation(
    alice: httpx.Client, create: Callable[..., Json], worker: Worker, agent: str, policy: str
) -> None:
    earlier = create(status="running")
    change(alice, f"/runs/{earlier['id']}", status="failed")

    run = create(if_busy=policy)

    assert worker.claim(agent).run["id"] == run["id"]


@pytest.mark.parametrize("policy", ["reject", "queue", "replace"])
def test_runs_of_other_conversations_do_not_count(
    alice: httpx.Client, create: Callable[..., Json], worker: Worker, agent: str, policy: str
) -> None:
    other = new_conversation(alice)
    new_run(alice, agent_id=new_agent(), conversation_id=other["id"])
    new_run(alice, agent_id=new_agent())

    run = create(if_busy=policy)

    assert worker.claim(agent).run["id"] == run["id"]


@pytest.mark.parametrize("policy", ["reject", "queue", "replace"])
def test_run_without_a_conversation_never_waits(
    alice: httpx.Client, worker: Worker, agent: str, policy: str
) -> None:
    made = [new_run(alice, agent_id=agent, if_busy=policy) for _ in range(2)]

    assert ids([worker.claim(agent).run for _ in made]) == ids(made)


@pytest.mark.parametrize("status", ["pending", "running"])
def test_reject_refuses_a_busy_conversation(
    alice: httpx.Client, create: Callable[..., Json], agent: str, conversation: Json, status: str
) -> None:
    create(status=status)

    response = try_run(alice, agent, conversation, "reject")

    assert assert_problem(response, 409)["type"] == "/problems/conversation-busy"
    runs = read_all(alice, "/runs", conversation_id=conversation["id"])
    assert len(runs) == 1


@pytest.mark.parametrize("policy", ["queue", "replace"])
def test_running_run_cannot_wait(
    alice: httpx.Client, agent: str, conversation: Json, policy: str
) -> None:
    body = {"agent_id": agent, "status": "running", "if_busy": policy}

    response = alice.post("/runs", json=body | {"conversation_id": conversation["id"]})

    assert places(assert_problem(response, 422)) == {"body:/if_busy"}


@pytest.mark.parametrize("policy", ["reject", "queue", "replace"])
def test_conversation_of_another_user_is_no_conversation(
    bob: httpx.Client, agent: str, conversation: Json, policy: str
) -> None:
    response = try_run(bob, agent, conversation, policy)

    assert places(assert_problem(response, 422)) == {"body:/conversation_id"}


def test_queue_runs_one_after_another(
    create: Callable[..., Json], worker: Worker, agent: str
) -> None:
    made = [create(if_busy="queue") for _ in range(4)]

    for run in made:
        claim = worker.claim(agent)
        assert claim.run["id"] == run["id"]
        assert worker.ask(agent).status_code == 204
        assert worker.update(claim, status="succeeded").status_code == 200
    assert worker.ask(agent).status_code == 204


def test_replace_cancels_earlier_runs_and_waits_for_the_running_one(
    alice: httpx.Client, create: Callable[..., Json], worker: Worker, agent: str
) -> None:
    first = create()
    claim = worker.claim(agent)
    pending, waiting = create(), create(if_busy="queue")

    last = create(if_busy="replace")

    found = {run["id"]: run for run in rows(read(alice, "/runs"))}
    assert found[pending["id"]]["status"] == found[waiting["id"]]["status"] == "cancelled"
    assert found[first["id"]]["status"] == "running"
    assert worker.heartbeat(claim).json()["cancel_requested_at"] is not None
    assert worker.ask(agent).status_code == 204
    worker.update(claim, status="cancelled")
    assert worker.claim(agent).run["id"] == last["id"]


def test_replace_of_pending_runs_is_claimed_at_once(
    create: Callable[..., Json], worker: Worker, agent: str
) -> None:
    create(), create(if_busy="queue")
    last = create(if_busy="replace")

    assert worker.claim(agent).run["id"] == last["id"]


# Every way in which a run can end lets the next one continue


def end_by_owner(client: httpx.Client, worker: Worker, claim: Claim) -> None:
    change(client, claim.path, status="failed")


def end_by_worker(client: httpx.Client, worker: Worker, claim: Claim) -> None:
    assert worker.update(claim, status="succeeded").status_code == 200


def end_with_message(client: httpx.Client, worker: Worker, claim: Claim) -> None:
    message = {"role": "assistant", "content": "42"}
    assert worker.update(claim, status="succeeded", message=message).status_code == 200


def end_with_if_match(client: httpx.Client, worker: Worker, claim: Claim) -> None:
    tag = client.get(claim.path).headers["etag"]
    body = {"status": "timeout"}
    assert client.patch(claim.path, json=body, headers={"If-Match": tag}).status_code == 200


def delete_conversation(client: httpx.Client, worker: Worker, claim: Claim) -> None:
    path = f"/conversations/{claim.run['conversation_id']}"
    assert client.delete(path).status_code == 204


@pytest.mark.parametrize(
    "end",
    [end_by_owner, end_by_worker, end_with_message, end_with_if_match, delete_conversation],
)
def test_end_of_a_running_run_lets_the_next_continue(
    alice: httpx.Client,
    create: Callable[..., Json],
    worker: Worker,
    agent: str,
    end: Callable[[httpx.Client, Worker, Claim], None],
) -> None:
    create()
    claim = worker.claim(agent)
    following = create(if_busy="queue")
    assert worker.ask(agent).status_code == 204

    end(alice, worker, claim)

    assert worker.claim(agent).run["id"] == following["id"]


@pytest.mark.parametrize("way", ["cancel", "update"])
def test_end_of_a_pending_run_lets_the_next_continue(
    alice: httpx.Client, create: Callable[..., Json], worker: Worker, agent: str, way: str
) -> None:
    first = create()
    following = create(if_busy="queue")

    if way == "cancel":
        assert alice.post(f"/runs/{first['id']}/cancel").status_code == 200
    else:
        change(alice, f"/runs/{first['id']}", status="timeout")

    assert worker.claim(agent).run["id"] == following["id"]


def test_end_of_a_waiting_run_leaves_the_others_waiting(
    alice: httpx.Client, create: Callable[..., Json], worker: Worker, agent: str
) -> None:
    create()
    claim = worker.claim(agent)
    waiting, last = (create(if_busy="queue") for _ in range(2))

    assert alice.post(f"/runs/{waiting['id']}/cancel").json()["status"] == "cancelled"

    assert worker.ask(agent).status_code == 204
    worker.update(claim, status="failed")
    assert worker.claim(agent).run["id"] == last["id"]


def test_end_of_a_later_run_does_not_let_a_waiting_one_overtake(
    alice: httpx.Client, create: Callable[..., Json], worker: Worker, agent: str
) -> None:
    create()
    claim = worker.claim(agent)
    waiting, later = create(if_busy="queue"), create(status="running")

    change(alice, f"/runs/{later['id']}", status="failed")

    assert worker.ask(agent).status_code == 204
    worker.update(claim, status="failed")
    assert worker.claim(agent).run["id"] == waiting["id"]


@pytest.mark.slow
def test_timeout_of_a_run_lets_the_next_continue(
    alice: httpx.Client, create: Callable[..., Json], worker: Worker, agent: str
) -> None:
    first = create()
    claim = worker.claim(agent, lease_seconds=LEASE_SECONDS)
    assert alice.post(f"{claim.path}/cancel").status_code == 200
    following = create(if_busy="queue")

    wait_until(
        lambda: read(alice, f"/runs/{first['id']}")["status"] == "cancelled", EXPIRED_SECONDS
    )

    assert worker.claim(agent).run["id"] == following["id"]


def test_owner_can_start_a_waiting_run(
    alice: httpx.Client, create: Callable[..., Json], worker: Worker, agent: str
) -> None:
    first, waiting = create(), create(if_busy="queue")

    change(alice, f"/runs/{waiting['id']}", status="running")
    change(alice, f"/runs/{first['id']}", status="cancelled")

    assert worker.ask(agent).status_code == 204


# Races


def test_exactly_one_of_concurrent_creators_with_reject_wins(
    alice: httpx.Client, agent: str, conversation: Json, new_client: Callable[..., httpx.Client]
) -> None:
    user = conversation["user_id"]
    clients = [new_client(user) for _ in range(WRITERS)]

    responses = at_once([partial(try_run, c, agent, conversation, "reject") for c in clients])

    assert sorted(response.status_code for response in responses) == [201] + [409] * (WRITERS - 1)


def test_concurrent_creators_with_queue_all_run_one_after_another(
    agent: str, conversation: Json, worker: Worker, new_client: Callable[..., httpx.Client]
) -> None:
    clients = [new_client(conversation["user_id"]) for _ in range(8)]

    responses = at_once([partial(try_run, c, agent, conversation, "queue") for c in clients])
    claimed = []
    for _ in clients:
        claim = worker.claim(agent)
        claimed.append(claim.run["id"])
        assert worker.ask(agent).status_code == 204
        worker.update(claim, status="succeeded")

    assert sorted(claimed) == sorted(response.json()["id"] for response in responses)


def test_concurrent_creators_with_replace_leave_one_run(
    alice: httpx.Client,
    agent: str,
    conversation: Json,
    worker: Worker,
    new_client: Callable[..., httpx.Client],
) -> None:
    clients = [new_client(conversation["user_id"]) for _ in range(8)]

    responses = at_once([partial(try_run, c, agent, conversation, "replace") for c in clients])

    assert {response.status_code for response in responses} == {201}
    runs = read_all(alice, "/runs", conversation_id=conversation["id"])
    assert sorted(run["status"] for run in runs) == ["cancelled"] * 7 + ["pending"]
    (left,) = (run["id"] for run in runs if run["status"] == "pending")
    assert worker.claim(agent).run["id"] == left
