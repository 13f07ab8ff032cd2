"""Prometheus keeps reading what a killed worker counted."""

import itertools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.metrics.processes import metrics_folder, workers
from tests.processes import wait_until
from tests.scraping import Samples, scrape, scrape_idle, value
from tests.servers import Server, free_port, start_server

pytestmark = pytest.mark.process


@pytest.mark.slow
def test_counts_of_a_killed_worker_are_kept(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {"metrics_port": str(port), "pool_size": "3"}
    stop = threading.Event()

    def watch() -> list[Samples]:
        scrapes = []
        while not stop.is_set():
            scrapes.append(scrape(port))
            time.sleep(0.01)
        return scrapes

    def both_serve() -> bool:
        return value(scrape(port), "agent_api_workers") == 2

    with (
        start_server(database_url, tmp_path, "--workers", "2", **settings) as server,
        ThreadPoolExecutor(1) as threads,
    ):
        wait_until(both_serve)
        folder = metrics_folder(server)
        answered = 0

        def are_counted() -> bool:
            return healthy(scrape(port)) == answered

        watching = threads.submit(watch)
        try:
            for _ in range(2):
                answered += ask(server, 40)
                wait_until(are_counted)
                victim, survivor = workers(server, folder)
                os.kill(victim, signal.SIGKILL)
                wait_until(partial(has_successor, server, folder, victim, survivor))
                wait_until(both_serve)
            answered += ask(server, 40)
        finally:
            stop.set()
        scrapes = watching.result()
        last = scrape_idle(port)
        assert folder.is_dir()

    assert not folder.exists()
    assert healthy(last) == answered == 120
    assert value(last, "agent_api_db_pool_size") == 6
    assert value(last, "agent_api_http_requests_in_progress") == 0
    assert len(scrapes) > 20
    for earlier, later in itertools.pairwise(scrapes):
        for (found, labels), count in earlier.items():
            if found.endswith(("_total", "_count", "_bucket", "_sum")):
                assert later[found, labels] >= count


def healthy(samples: Samples) -> float:
    """Return how many requests were counted; each is counted after its response."""
    return value(samples, "agent_api_http_requests_total", operation="get_health", status="200")


def ask(server: Server, times: int) -> int:
    """Send GET /healthz `times` times, each on a new connection."""
    return sum(
        httpx.get(f"{server.url}/healthz", verify=False).status_code == 200 for _ in range(times)
    )


def has_successor(server: Server, folder: Path, victim: int, survivor: int) -> bool:
    now = workers(server, folder)
    return len(now) == 2 and survivor in now and victim not in now
