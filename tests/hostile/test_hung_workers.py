"""Hanging workers are detected, killed and replaced while the others keep serving.

Workers that a stop signal ends are not reported.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.processes import wait_until
from tests.servers import SECRET, Server, clean_environment, command, free_port, start_server
from tests.wire import Wire, head

pytestmark = [pytest.mark.process, pytest.mark.slow]

HANG_SECONDS = 10
"""As in agent_api/server/workers.py."""


def worker_ids(server: Server) -> set[int]:
    """Return the process ids of the workers."""
    return workers_of(server.process.pid)


def workers_of(parent: int) -> set[int]:
    found = set()
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.Error):  # it has just ended
            if "spawn_main" in " ".join(child.cmdline()):
                found.add(child.pid)
    return found


def is_replaced(server: Server, victim: int) -> bool:
    return victim not in worker_ids(server) and len(worker_ids(server)) == 2


@contextmanager
def requesting(server: Server) -> Iterator[Counter[str]]:
    """Send requests on new connections until the block ends, and count the outcomes."""
    ended, outcomes = threading.Event(), Counter[str]()

    def ask() -> None:
        while not ended.wait(0.05):
            try:
                answer = httpx.get(f"{server.url}/healthz", timeout=1, verify=False)
                outcomes[str(answer.status_code)] += 1
            except httpx.TransportError as error:
                outcomes[type(error).__name__] += 1

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_stopped_worker_is_replaced_while_the_other_serves(
    database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path, "--workers", "2") as server:
        # A worker that has not started yet may be silent for longer.
        wait_until(lambda: server.log.read_text().count('"started"') == 2)
        victim = min(worker_ids(server))
        with requesting(server) as outcomes:
            stopped = time.monotonic()
            psutil.Process(victim).suspend()
            wait_until(lambda: is_replaced(server, victim), 60)
            seconds = time.monotonic() - stopped

        assert HANG_SECONDS - 1 < seconds < 40
        assert outcomes["200"] > 20
        assert not psutil.pid_exists(victim)

    assert f'"worker":{victim}' in server.log.read_text()


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[Server]:
    """Two workers with an application that hangs on request."""
    port, log = free_port(), tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.hanging", str(port)],
            stdout=output,
            stderr=output,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until(lambda: process.poll() is not None or len(worker_ids(server)) == 2)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def test_worker_with_a_hanging_event_loop_is_replaced(hanging: Server) -> None:
    """Its other threads keep running, so they do not prove that the worker is alive."""
    pids: set[int] = set()

    def has_answered() -> bool:
        with contextlib.suppress(httpx.ConnectError):  # not listening yet
            pids.add(int(httpx.get(hanging.url, verify=False).text))
        return len(pids) == 2

    wait_until(has_answered, 60)
    with Wire(hanging) as wire, requesting(hanging) as outcomes:
        wire.send(head("GET /hang", token=False))
        wait_until(lambda: worker_ids(hanging) != pids, 60)
        wait_until(lambda: len(worker_ids(hanging)) == 2, 60)

        assert wire.receive_raw(1) == b""

    assert len(worker_ids(hanging) & pids) == 1
    assert outcomes["200"] > 20


def test_signal_to_starting_workers_is_not_logged_as_their_death(
    database_url: str, tmp_path: Path
) -> None:
    """When a machine shuts down early, systemd sends SIGTERM to every process of the service."""
    settings = {"data_dir": str(tmp_path), "database_url": database_url, "jwt_secret": SECRET}
    with subprocess.Popen(
        command("serve", "--workers", "2", "--port", str(free_port())),
        env=clean_environment(**settings),
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            wait_until(lambda: len(workers_of(server.pid)) == 2)

            for process in (server.pid, *workers_of(server.pid)):
                with contextlib.suppress(ProcessLookupError):  # the parent was faster
                    os.kill(process, signal.SIGTERM)
            _, log = server.communicate(timeout=60)
        finally:
            server.kill()

    assert server.returncode == 0
    assert "a worker died" not in log
