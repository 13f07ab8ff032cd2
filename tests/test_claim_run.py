"""Claims: the oldest run first, each once."""

import uuid
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import httpx
import pytest

from tests.calls import at_once, change, ids, new_run, read
from tests.contract import assert_problem
from tests.servers import Server
from tests.workers import (
    SCOPE,
    NewWorker,
    Worker,
    claimed_run,
    new_agent,
)

WORKERS = 32
RUNS = 1000


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_claim_run_starts_the_oldest_run_of_any_user(
    alice: httpx.Client, bob: httpx.Client, worker: Worker
) -> None:
    agent = new_agent()
    made = [new_run(client, agent_id=agent, input={"n": 1}) for client in (alice, bob, alice)]

    claims = [worker.claim(agent) for _ in made]

    assert ids([claim.run for claim in claims]) == ids(made)
    assert worker.ask(agent).status_code == 204
    first = claims[0].run
    assert first | {"status": "running", "attempts": 1, "input": {"n": 1}} == first
    assert first["started_at"] == first["updated_at"] > first["created_at"]
    assert read(alice, f"/runs/{first['id']}") == first
    expires_in = moment(claims[0].lease_expires_at) - moment(first["started_at"])
    assert timedelta(seconds=59) < expires_in < timedelta(seconds=61)


def test_claim_run_takes_the_oldest_of_all_its_agents(alice: httpx.Client, worker: Worker) -> None:
    agents = [new_agent() for _ in range(3)]
    made = [new_run(alice, agent_id=agents[number]) for number in (2, 0, 1, 0, 2)]
    others = new_run(alice, agent_id=new_agent())

    claims = [worker.claim(*agents, new_agent()) for _ in made]

    assert ids([claim.run for claim in claims]) == ids(made)
    assert worker.ask(*agents).status_code == 204
    assert read(alice, f"/runs/{others['id']}")["status"] == "pending"


@pytest.mark.parametrize("scope", [None, "", "runs", "runs:worker", "RUNS:WORK", ["runs:work"]])
def test_claim_run_needs_the_scope(server: Server, alice: httpx.Client, scope: object) -> None:
    agent = new_agent()
    run = new_run(alice, agent_id=agent)

    with server.client("worker", scope=scope) as client:
        response = client.post("/runs/claim", json={"agent_ids": [agent]})

    assert assert_problem(response, 403)["type"] == "/problems/forbidden"
    challenge = response.headers["www-authenticate"]
    assert challenge == f'Bearer error="insufficient_scope", scope="{SCOPE}"'
    assert read(alice, f"/runs/{run['id']}")["status"] == "pending"


@pytest.mark.parametrize(
    "body",
    [
        {"agent_ids": []},
        {"agent_ids": ["a"] * 101},
        {"agent_ids": [""]},
        {"agent_ids": "a"},
        {"agent_ids": ["a"], "lease_seconds": 4},
        {"agent_ids": ["a"], "lease_seconds": 3601},
        {"agent_ids": ["a"], "wait_seconds": 31},
        {"agent_ids": ["a"], "wait_seconds": -1},
        {},
    ],
)
def test_claim_run_rejects_other_values(worker: Worker, body: object) -> None:
    assert_problem(worker.client.post("/runs/claim", json=body), 422)


def test_claim_run_accepts_null_and_a_hundred_agents(alice: httpx.Client, worker: Worker) -> None:
    agents = [new_agent() for _ in range(100)]
    run = new_run(alice, agent_id=agents[57])

    claim = worker.claim(*agents, lease_seconds=None, wait_seconds=None)

    assert claim.run["id"] == run["id"]


def test_claim_run_skips_runs_that_are_not_pending_any_more(
    alice: httpx.Client, worker: Worker
) -> None:
    agent = new_agent()
    runs = [new_run(alice, agent_id=agent) for _ in range(4)]
    change(alice, f"/runs/{runs[0]['id']}", status="running")
    change(alice, f"/runs/{runs[1]['id']}", status="cancelled")
    alice.post(f"/runs/{runs[2]['id']}/cancel")
    new_run(alice, agent_id=agent, status="running")

    assert worker.claim(agent).run["id"] == runs[3]["id"]
    assert worker.ask(agent).status_code == 204


@pytest.mark.slow
def test_many_workers_claim_each_run_once(
    new_client: Callable[..., httpx.Client], server: Server, new_worker: NewWorker
) -> None:
    agents = [new_agent() for _ in range(3)]
    users = [new_client() for _ in range(4)]

    def fill(user: httpx.Client) -> list[str]:
        count = RUNS // len(users)
        return ids([new_run(user, agent_id=agents[number % 3]) for number in range(count)])

    made = [run for found in at_once([partial(fill, user) for user in users]) for run in found]

    lasting = {"wait_seconds": 1, "lease_seconds": 3600}  # no sweep handles them during the tests

    def work(worker: Worker, wanted: list[str]) -> list[str]:
        found = []
        while (response := worker.ask(*wanted, **lasting)).status_code == 200:
            found.append(response.json()["run"]["id"])
        assert response.status_code == 204, response.text
        return found

    choices = [agents, agents[:1], agents[1:], agents[::-1]]
    acts = [partial(work, new_worker(), choices[number % 4]) for number in range(WORKERS)]
    claimed = [run for found in at_once(acts) for run in found]

    assert Counter(claimed) == Counter(made)


def test_claim_run_does_not_log_the_lease(
    server: Server, alice: httpx.Client, worker: Worker
) -> None:
    claim = claimed_run(alice, worker, input={"id": str(uuid.uuid4())})
    worker.heartbeat(claim)

    assert claim.lease not in server.log.read_text()
