"""Two servers on one database, which can be restarted on their ports."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.processes import wait_until
from tests.servers import STOP_SECONDS, Server, free_port, start_server

COUNT = 2


class Nodes:
    """The two servers, as a proxy knows them by their addresses."""

    def __init__(self, database_url: str, folder: Path, stack: ExitStack, **settings: str) -> None:
        self._database_url = database_url
        self._folder = folder
        self._stack = stack
        self._settings = settings
        self._ports = [free_port() for _ in range(COUNT)]
        self._servers = [self._start(number) for number in range(COUNT)]

    def __getitem__(self, number: int) -> Server:
        return self._servers[number]

    def __iter__(self) -> Iterator[Server]:
        return iter(self._servers)

    def _start(self, number: int) -> Server:
        port = str(self._ports[number])
        started = start_server(self._database_url, self._folder, port=port, **self._settings)
        return self._stack.enter_context(started)

    def stop(self, number: int) -> None:
        """Stop a server as an operator would, and wait for its end."""
        self[number].process.send_signal(signal.SIGTERM)
        assert self[number].process.wait(STOP_SECONDS) == 0

    def kill(self, number: int) -> None:
        """End a server like a defect or a lack of memory would."""
        self[number].process.kill()
        self[number].process.wait(30)

    def start(self, number: int) -> None:
        """Start a server again, and wait until it is ready."""
        self._servers[number] = self._start(number)

    def line_of(self, request_id: str) -> str:
        """Return the line that one of the servers has logged about a request."""
        found: list[str] = []

        def has_come() -> bool:
            lines = [line for server in self for line in server.log.read_text().splitlines()]
            found[:] = [line for line in lines if request_id in line]
            return bool(found)

        wait_until(has_come)
        return found[0]


@contextmanager
def start_nodes(database_url: str, folder: Path, **settings: str) -> Iterator[Nodes]:
    """Start two servers that trust a proxy on this machine, and stop them after the block."""
    settings = {"trusted_proxies": "127.0.0.1", "log_client_address": "on"} | settings
    with ExitStack() as stack:
        yield Nodes(database_url, folder, stack, **settings)
