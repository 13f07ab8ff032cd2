"""Thousands of connections, and more connections than file descriptors."""

import contextlib
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.hostile.memory import resident_bytes
from tests.processes import wait_until
from tests.servers import Server, start_limited_server, start_server
from tests.wire import Wire, head

pytestmark = pytest.mark.process

MANY = 10_000
FEW = 256
"""File descriptors; the server reserves half of them."""
TOO_FEW = 26
"""File descriptors; fewer than the server needs for itself."""


def connect(server: Server, count: int, stack: contextlib.ExitStack) -> list[socket.socket]:
    """Return `count` silent connections, which `stack` closes."""
    address = urlsplit(server.url)
    target = (address.hostname, address.port or 80)
    return [stack.enter_context(socket.create_connection(target, 30)) for _ in range(count)]


def is_ready(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/readyz", timeout=10, verify=False).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def all_descriptors() -> Iterator[int]:
    """Raise the limit of open files of this process, and yield the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard if hard != resource.RLIM_INFINITY else 1 << 20
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.slow
def test_ten_thousand_silent_connections_delay_nobody(database_url: str, tmp_path: Path) -> None:
    timeout = 30
    with (
        start_server(database_url, tmp_path, client_timeout_seconds=str(timeout)) as server,
        all_descriptors() as limit,
        contextlib.ExitStack() as stack,
    ):
        count = min(MANY, limit - 500)
        before = resident_bytes(server)
        connections = connect(server, count, stack)
        process = psutil.Process(server.process.pid)
        wait_until(lambda: process.num_fds() > count)
        during = resident_bytes(server)

        with server.client("somebody") as client:
            seconds = [client.get("/conversations").elapsed.total_seconds() for _ in range(50)]

        assert max(seconds) < 5
        each = (during - before) / count
        assert each < 16 * 1024

        wait_until(lambda: process.num_fds() < 200)
        assert {connection.recv(1) for connection in connections} == {b""}
        assert resident_bytes(server) < before + count * 16 * 1024


def test_connections_without_a_descriptor_get_a_503_and_others_are_served(
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
            assert early.receive().status == 200, "no descriptor was left for the database"

        stack.close()
        wait_until(lambda: is_ready(server))

    assert '"too many connections"' in server.log.read_text()
    assert '"ERROR"' not in server.log.read_text()


def test_server_without_descriptors_waits_and_recovers(database_url: str, tmp_path: Path) -> None:
    with (
        start_limited_server(database_url, tmp_path, descriptors=TOO_FEW) as server,
        contextlib.ExitStack() as stack,
    ):
        process = psutil.Process(server.process.pid)

        with contextlib.suppress(ConnectionError):
            connect(server, 100, stack)
        wait_until(lambda: process.num_fds() >= TOO_FEW - 1)
        busy = process.cpu_times().user + process.cpu_times().system
        time.sleep(3)
        spent = process.cpu_times().user + process.cpu_times().system - busy

        assert server.process.poll() is None
        assert spent < 1.5, "the server is in a busy loop"
        stack.close()
        wait_until(lambda: is_ready(server))
