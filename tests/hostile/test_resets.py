"""Clients that reset the connection or send more, before the event loop notices."""

import contextlib
import re
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port

REQUEST = b"POST / HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Length: 10\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: api\r\n\r\n"
RESET = struct.pack("ii", 1, 0)


def connect(port: int) -> socket.socket:
    """Return a connection to a server that may still be starting."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 30)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@contextlib.contextmanager
def running(port: int, log: Path, loop: str = "asyncio") -> Iterator[None]:
    command = [sys.executable, "-m", "tests.hostile.resetting", str(port), loop]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.process
def test_connection_reset_during_response_logs_no_error(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    with running(port, log):
        with connect(port) as client:
            client.sendall(REQUEST)
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

        with connect(port) as other:  # it is answered after the first request has ended
            other.sendall(REQUEST)
            assert other.recv(1000).startswith(b"HTTP/1.1 200")

    assert "ERROR" not in log.read_text()


@pytest.mark.process
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_refusal_comes_after_the_response_to_a_head_request(tmp_path: Path, loop: str) -> None:
    port, log = free_port(), tmp_path / "log"
    with running(port, log, loop), connect(port) as client:
        client.sendall(HEAD)
        time.sleep(0.3)
        client.sendall(b"BAD\0 / HTTP/1.1\r\n\r\n")
        received = b"".join(iter(lambda: client.recv(1000), b""))

    assert re.findall(rb"HTTP/1.1 (\d+)", received) == [b"200", b"400"]
    assert "ERROR" not in log.read_text()
