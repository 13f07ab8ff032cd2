"""Claims that wait for a run, by long polling."""

import signal
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.calls import at_once, new_run
from tests.contract import assert_problem
from tests.processes import wait_until
from tests.scraping import scrape, value
from tests.servers import Server, free_port, start_server
from tests.test_request_log import line_of
from tests.workers import (
    NewWorker,
    Worker,
    new_agent,
)


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
