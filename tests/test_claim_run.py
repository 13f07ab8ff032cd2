"""Claims: the oldest run first, each once, with long polling; and what ends a claim."""

import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.calls import at_once, change, ids, new_conversation, new_run, read
from tests.contract import assert_problem
from tests.processes import wait_until
from tests.scraping import scrape, value
from tests.servers import Server, free_port, start_server
from tests.test_request_log import line_of
from tests.workers import (
    EXPIRED_SECONDS,
    LEASE_SECONDS,
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


def test_claim_run_waits_for_a_run(alice: httpx.Client, worker: Worker) -> None:
    agent = new_agent()
    timer = threading.Timer(1, lambda: new_run(alice, agent_id=agent))
    timer.start()

    begin = time.monotonic()
    claim = worker.claim(agent, wait_seconds=20)
    seconds = time.monotonic() - begin
    timer.join()

    assert claim.run["agent_id"] == agent
    assert 0.9 < seconds < 5


def test_claim_run_waits_no_longer_than_asked(worker: Worker) -> None:
    begin = time.monotonic()

    response = worker.ask(new_agent(), wait_seconds=1)

    assert response.status_code == 204
    assert response.content == b""
    assert 0.9 < time.monotonic() - begin < 5


def test_client_that_disconnects_claims_nothing(
    server: Server, alice: httpx.Client, worker: Worker
) -> None:
    agent, request_id = new_agent(), str(uuid.uuid4())
    body = {"agent_ids": [agent], "wait_seconds": 20}
    with pytest.raises(httpx.ReadTimeout):
        worker.client.post(
            "/runs/claim", json=body, headers={"X-Request-Id": request_id}, timeout=0.5
        )
    assert line_of(server, request_id)["status"] == 499

    run = new_run(alice, agent_id=agent)

    assert worker.claim(agent).run["id"] == run["id"]


@pytest.mark.process
def test_stopping_server_ends_claims_that_wait(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    with (
        start_server(database_url, tmp_path, metrics_port=str(port)) as stopping,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(Worker(stopping).ask, new_agent(), wait_seconds=30)
        wait_until(lambda: value(scrape(port), "agent_api_http_requests_in_progress") == 1)

        asked = time.monotonic()
        stopping.process.send_signal(signal.SIGTERM)
        response = waiting.result()
        seconds = time.monotonic() - asked

    assert_problem(response, 503)
    assert seconds < 15


@pytest.mark.slow
def test_waiting_claims_hold_no_connection(
    alice: httpx.Client, new_worker: NewWorker, server: Server
) -> None:
    """More claims than connections of the pool wait, while others are served."""
    agent = new_agent()
    workers = [new_worker() for _ in range(40)]

    def wait(worker: Worker) -> int:
        return worker.ask(agent, wait_seconds=3).status_code

    def serve() -> int:
        time.sleep(0.5)
        return alice.get("/conversations").status_code

    acts = [partial(wait, worker) for worker in workers]
    codes = at_once([*acts, partial(serve)])

    assert codes == [204] * len(workers) + [200]


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


def test_claim_run_does_not_log_the_lease(
    server: Server, alice: httpx.Client, worker: Worker
) -> None:
    claim = claimed_run(alice, worker, input={"id": str(uuid.uuid4())})
    worker.heartbeat(claim)

    assert claim.lease not in server.log.read_text()


@pytest.mark.process
def test_worker_can_wait_with_so_many_claims_and_not_more(
    database_url: str, tmp_path: Path
) -> None:
    with (
        start_server(database_url, tmp_path, max_streams_per_user="2") as server,
        ThreadPoolExecutor(4) as threads,
    ):
        worker, other = Worker(server), Worker(server)
        several = [threads.submit(worker.ask, new_agent(), wait_seconds=3) for _ in range(3)]
        statuses = [claim.result().status_code for claim in several]
        too_many = [claim.result() for claim in several if claim.result().status_code == 429]
        waiting = [threads.submit(worker.ask, new_agent(), wait_seconds=3) for _ in range(2)]
        others = threads.submit(other.ask, new_agent(), wait_seconds=1)
        at_once = worker.ask(new_agent())
        later = [claim.result().status_code for claim in (*waiting, others)]
        worker.client.close()
        other.client.close()

    assert sorted(statuses) == [204, 204, 429]
    assert assert_problem(too_many[0], 429)["type"] == "/problems/too-many-claims"
    assert (at_once.status_code, later) == (204, [204, 204, 204])
