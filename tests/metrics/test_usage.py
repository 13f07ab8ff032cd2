"""CPU time and memory in /metrics are those of the server's processes."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from tests.metrics.processes import metrics_folder, workers
from tests.processes import wait_until
from tests.scraping import scrape, value
from tests.servers import Server, free_port, start_server

pytestmark = [pytest.mark.process, pytest.mark.skipif(not psutil.LINUX, reason="needs /proc")]

CPU = "agent_api_cpu_seconds_total"


def test_cpu_and_memory_are_sums_and_count_a_killed_worker(
    database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = {"metrics_port": str(port)}

    def both_serve() -> bool:
        return value(scrape(port), "agent_api_workers") == 2

    with start_server(database_url, tmp_path, "--workers", "2", **settings) as server:
        wait_until(both_serve)
        folder = metrics_folder(server)
        assert_sums_are_right(server, port, folder)

        killed = workers(server, folder)[0]
        os.kill(killed, signal.SIGKILL)
        counts = [0.0]

        def is_replaced() -> bool:
            counts.append(value(scrape(port), CPU))
            serving = workers(server, folder)
            return both_serve() and len(serving) == 2 and killed not in serving

        wait_until(is_replaced)
        assert counts == sorted(counts)
        assert_sums_are_right(server, port, folder)


def assert_sums_are_right(server: Server, port: int, folder: Path) -> None:
    """Compare with psutil; the parent's times contain those of children that have ended."""
    processes = [psutil.Process(pid) for pid in (server.process.pid, *workers(server, folder))]
    assert len(processes) == 3

    memory_before = sum(process.memory_info().rss for process in processes)
    before = sum(sum(process.cpu_times()[:4]) for process in processes)
    samples = scrape(port)
    after = sum(sum(process.cpu_times()[:4]) for process in processes)
    memory_after = sum(process.memory_info().rss for process in processes)
    assert 0.1 < before - 0.03 <= value(samples, CPU) <= after + 0.03  # clocks tick every 0.01 s
    memory = value(samples, "agent_api_resident_memory_bytes")
    # A worker that has just started may still grow.
    assert 0.95 * memory_before < memory < 1.05 * memory_after
