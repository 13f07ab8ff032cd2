"""One process that serves: hurries slow clients, and stops without cutting anybody off."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from agent_api.http.request_context import ON_FORCED_EXIT
from agent_api.server.protocol import HttpProtocol
from agent_api.server.signals import StopSignals

logger = logging.getLogger(__name__)

TICKS_A_SECOND = 10
LAST_WORD_SECONDS = 1
"""For which the answers to what could not be finished may take to leave."""


def _nothing() -> None:
    """Stand where nothing is to be done: a lambda could not be sent to the process of --reload."""


class Server(uvicorn.Server):
    """Accepts until it is asked to stop, then finishes what it has within the grace time."""

    def __init__(self, config: uvicorn.Config, *, client_seconds: int, has_parent: bool) -> None:
        super().__init__(config)
        self.beat: Callable[[], None] = _nothing
        self.tidy_up: Callable[[], None] = _nothing
        self._client_seconds = client_seconds
        self._stop = StopSignals(has_parent=has_parent)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Listen to them, and do not raise them again at the end: to stop is not to crash."""
        with self._stop.handled():
            yield

    async def on_tick(self, counter: int) -> bool:
        """Do what is due, and tell whether to stop."""
        self.beat()
        if counter % TICKS_A_SECOND == 0:
            self._hurry_clients()
        return await super().on_tick(counter) or self._stop.asked

    def _hurry_clients(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in self._connections():
            connection.hurry(now, self._client_seconds)

    def _connections(self) -> list[HttpProtocol]:
        return [each for each in self.server_state.connections if isinstance(each, HttpProtocol)]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, answer who is inside, and end the application."""
        grace = self.config.timeout_graceful_shutdown or 0
        logger.info("stopping", extra={"connections": len(self._connections())})
        await self._close_listeners(sockets or [])
        for connection in self._connections():
            connection.shutdown()
        await self._wait_until_answered(grace)
        if self._is_busy():
            await self._give_up()
        else:
            await self.lifespan.shutdown()
            logger.info("stopped")

    async def _close_listeners(self, sockets: list[socket.socket]) -> None:
        """Take in who has connected before the door closes: the system would cut them off."""
        waiting: list[socket.socket] = []
        for server in self.servers:
            for listener in server.sockets:
                with socket.socket(fileno=os.dup(listener.fileno())) as door:
                    door.setblocking(False)
                    with contextlib.suppress(OSError):  # nobody waits, or no descriptor is left
                        while len(waiting) < self.config.backlog:
                            waiting.append(door.accept()[0])
            server.close()
        for listener in sockets:
            listener.close()
        for client in waiting:
            client.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._new_protocol, client)

    def _new_protocol(self) -> HttpProtocol:
        return HttpProtocol(self.config, self.server_state, self.lifespan.state)

    def _is_busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)

    async def _wait_until_answered(self, seconds: float) -> None:
        """Return when all are gone, or time is up, or somebody said to end it at once."""
        ticks = 0
        while self._is_busy() and not self._stop.at_once and ticks < seconds * TICKS_A_SECOND:
            await asyncio.sleep(1 / TICKS_A_SECOND)
            self.beat()
            ticks += 1
            if ticks % TICKS_A_SECOND == 0:
                self._hurry_clients()

    async def _give_up(self) -> None:
        """Say to those who still wait that they wait in vain, and end the process.

        It does not end by itself while a handler waits for the database.
        """
        tasks = self.server_state.tasks
        counts = {"requests": len(tasks), "connections": len(self._connections())}
        logger.warning("stopping before all were done", extra=counts)
        for task in list(tasks):
            task.cancel()  # ProblemMiddleware answers
        for connection in self._connections():
            connection.give_up()
        self._stop.at_once = False
        await self._wait_until_answered(LAST_WORD_SECONDS)
        if (on_forced_exit := self.lifespan.state.get(ON_FORCED_EXIT)) is not None:
            on_forced_exit()
        self.tidy_up()
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
