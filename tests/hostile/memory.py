"""The memory use of a server, now and at its peak."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.servers import Server

MIB = 1024 * 1024


def resident_bytes(server: Server) -> int:
    """Return the resident memory of the server's process."""
    size: int = psutil.Process(server.process.pid).memory_info().rss
    return size


class Peak:
    """The highest memory use that was measured."""

    def __init__(self, server: Server) -> None:
        self.before = self._most = resident_bytes(server)
        self._server = server

    @property
    def grown(self) -> int:
        """Return the growth since the start."""
        return self._most - self.before

    def measure(self) -> None:
        self._most = max(self._most, resident_bytes(self._server))


@contextmanager
def peak(server: Server) -> Iterator[Peak]:
    """Measure the memory fifty times a second until the block ends."""
    found = Peak(server)
    ended = threading.Event()

    def measure() -> None:
        while not ended.wait(0.02):
            found.measure()

    thread = threading.Thread(target=measure)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        found.measure()
