"""Thousands of connections, and too few file descriptors for those that come."""

import contextlib
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.hostile.memory import used
from tests.servers import Server, start_limited_server, start_server
from tests.wire import Wire, head

MANY = 10_000
FEW = 256
"""File descriptors, half of which the server keeps for itself."""
HARDLY_ANY = 26
"""Fewer than the half that it keeps is enough for."""


def connect(server: Server, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Return `count` connections that say nothing, and are closed with `stack`."""
    address = urlsplit(server.url)
    target = (address.hostname, address.port or 80)
    return [stack.enter_context(socket.create_connection(target, 30)) for _ in range(count)]


def is_well(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/readyz", timeout=10, verify=False).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@contextmanager
def all_descriptors() -> Iterator[int]:
    """Let this process open as many files as it may; yield how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard if hard != resource.RLIM_INFINITY else 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_ten_thousand_silent_connections_keep_nobody_else_waiting(
    database_url: str, tmp_path: Path
) -> None:
    patience = 30
    with (
        start_server(database_url, tmp_path, client_timeout_seconds=str(patience)) as server,
        all_descriptors() as limit,
        contextlib.ExitStack() as stack,
    ):
        count = min(MANY, limit - 500)
        before = used(server)
        connections = connect(server, count, stack)
        process = psutil.Process(server.process.pid)
        wait_until(lambda: process.num_fds() > count, 20)
        during = used(server)

        with server.client("somebody") as client:
            seconds = [client.get("/conversations").elapsed.total_seconds() for _ in range(50)]

        assert max(seconds) < 5
        each = (during - before) / count
        assert each < 16 * 1024

        wait_until(lambda: process.num_fds() < 200, 60)
        assert {connection.recv(1) for connection in connections} == {b""}
        assert used(server) < before + count * 16 * 1024


def test_connections_beyond_the_descriptors_are_told_so_and_the_others_served(
    database_url: str, tmp_path: Path
) -> None:
    with (
        start_limited_server(database_url, tmp_path, descriptors=FEW) as server,
        contextlib.ExitStack() as stack,
    ):
        with Wire(server) as early:
            early.send(head("GET /healthz", token=False))
            early.receive()
            connect(server, FEW, stack)

            with Wire(server) as late:
                answer = late.receive()
            assert answer.problem(503)["type"] == "/problems/unavailable"
            assert answer.headers["retry-after"]
            early.send(head("GET /conversations"))
            assert early.receive().status == 200, "the database's connections have room"

        stack.close()
        wait_until(lambda: is_well(server), 20)
        assert '"too many connections"' in server.log.read_text()
        assert '"ERROR"' not in server.log.read_text()


def test_a_server_without_descriptors_waits_and_recovers(database_url: str, tmp_path: Path) -> None:
    with (
        start_limited_server(database_url, tmp_path, descriptors=HARDLY_ANY) as server,
        contextlib.ExitStack() as stack,
    ):
        process = psutil.Process(server.process.pid)

        with contextlib.suppress(ConnectionError):
            connect(server, 100, stack)
        wait_until(lambda: process.num_fds() >= HARDLY_ANY - 1, 10)
        busy = process.cpu_times().user + process.cpu_times().system
        time.sleep(3)
        spent = process.cpu_times().user + process.cpu_times().system - busy

        assert server.process.poll() is None
        assert spent < 1.5, "it turned in circles"
        stack.close()
        wait_until(lambda: is_well(server), 20)
