"""How much memory a server takes, and the most it took while something went on."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.servers import Server

MIB = 1024 * 1024


def used(server: Server) -> int:
    """Return the resident bytes of the server's process."""
    size: int = psutil.Process(server.process.pid).memory_info().rss
    return size


class Peak:
    """The most resident bytes that were seen, beyond those at the start."""

    def __init__(self, server: Server) -> None:
        self.before = self._most = used(server)
        self._server = server

    @property
    def grown(self) -> int:
        return self._most - self.before

    def look(self) -> None:
        self._most = max(self._most, used(self._server))


@contextmanager
def peak(server: Server) -> Iterator[Peak]:
    """Look at the memory fifty times a second until the block ends."""
    found = Peak(server)
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            found.look()

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        found.look()
