"""The memory that waiting streams take."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.hostile.memory import resident_bytes
from tests.hostile.test_many_connections import all_descriptors
from tests.live.following import running
from tests.servers import Server, sign, start_server

pytestmark = [pytest.mark.process, pytest.mark.slow]

STREAMS = 3000
MAX_BYTES = 15_500
"""make bench-live measures it with 10,000 streams."""


def follow(server: Server, path: str, count: int, stack: ExitStack) -> None:
    """Open streams until the stack ends."""
    address = urlsplit(server.url)
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sign('alice')}\r\n\r\n"
    for _ in range(count):
        target = (address.hostname, address.port or 80)
        connection = stack.enter_context(socket.create_connection(target, 30))
        connection.sendall(request.encode())
        received = b""
        while b"retry: " not in received:
            received += connection.recv(4096)


def test_waiting_streams_take_little_memory(database_url: str, tmp_path: Path) -> None:
    settings = {"max_streams_per_user": str(2 * STREAMS)}
    with (
        start_server(database_url, tmp_path, **settings) as server,
        all_descriptors(),
        ExitStack() as stack,
    ):
        with server.client("alice") as alice:
            path = f"/runs/{running(alice)['id']}/events/stream"
        with ExitStack() as first:
            follow(server, path, 50, first)  # fills pools and caches
        time.sleep(2)
        before = resident_bytes(server)
        follow(server, path, STREAMS, stack)
        time.sleep(5)

        taken = (resident_bytes(server) - before) / STREAMS

    assert taken < MAX_BYTES
