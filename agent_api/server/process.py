"""One process that serves: it enforces timeouts, and shuts down without cutting off a request."""

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.config import STARTUP_FAILURE

from agent_api import __version__
from agent_api.http.request_context import ON_FORCED_EXIT, ON_STOP
from agent_api.observability import log
from agent_api.observability.output import OUTPUT
from agent_api.server.addresses import base_url
from agent_api.server.http.connection import Connection
from agent_api.server.http.protocol import HttpProtocol
from agent_api.server.signals import StopSignals

logger = logging.getLogger(__name__)

TICKS_PER_SECOND = 10
FORCED_EXIT_SECONDS = 1
"""How long the responses to unfinished requests may take."""


def _do_nothing() -> None:
    """Do nothing; unlike a lambda it can be sent to the process of --reload."""


def skip_garbage_collection() -> None:
    """Let the process exit at once: the interpreter would search all modules for garbage."""
    gc.freeze()


class Server(uvicorn.Server):
    """Serves until a stop signal, and then finishes requests within the grace time."""

    def __init__(self, config: uvicorn.Config, *, client_timeout: int, has_parent: bool) -> None:
        super().__init__(config)
        self.heartbeat: Callable[[], None] = _do_nothing
        self.clean_up: Callable[[], None] = _do_nothing
        self._client_timeout = client_timeout
        self._has_parent = has_parent
        self._stop = StopSignals(has_parent=has_parent)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals; uvicorn would raise them again at the end, and exit with an error."""
        with self._stop.handled():
            yield

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a stop signal.

        A child process logs an exception as the log's format requires, and exits with
        STARTUP_FAILURE or 1.
        """
        if self._has_parent:
            log.start(sys.argv[1:])  # python -m agent_api does not do it in child processes
        try:
            super().run(sockets)
        except Exception:  # broad, because multiprocessing would print any of them
            if not self._has_parent:
                raise
            logger.critical("a worker failed", exc_info=True)
            raise SystemExit(1 if self.started else STARTUP_FAILURE) from None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and listen."""
        await super().startup(sockets)
        if not self.started:  # the application has logged the reason
            return
        self.heartbeat()  # who reads the line expects that a silent worker is replaced soon
        address = base_url(self.config.host, self.config.port)
        logger.info("started", extra={"version": __version__, "address": address})

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times or once per second; return whether to stop."""
        self._tick()
        if counter % TICKS_PER_SECOND == 0:
            self._enforce_timeouts()
        return await super().on_tick(counter) or self._stop.requested

    def _tick(self) -> None:
        self.heartbeat()
        OUTPUT.flush()

    def _enforce_timeouts(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in self._connections():
            connection.enforce_timeouts(now, self._client_timeout)

    def _connections(self) -> list[Connection]:
        return [each for each in self.server_state.connections if isinstance(each, Connection)]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, finish the requests, and shut the application down."""
        grace = self.config.timeout_graceful_shutdown or 0
        logger.info("stopping", extra={"connections": len(self._connections())})
        await self._close_listeners(sockets or [])
        if (on_stop := self.lifespan.state.get(ON_STOP)) is not None:
            on_stop()
        for connection in self._connections():
            connection.shutdown()
        await self._wait_until_idle(grace)
        if self._is_busy():
            await self._force_exit()
        else:
            await self.lifespan.shutdown()
            skip_garbage_collection()
            logger.info("stopped")

    async def _close_listeners(self, sockets: list[socket.socket]) -> None:
        """Stop listening, but accept the clients in the backlog: the kernel would reset them."""
        accepted: list[socket.socket] = []
        for server in self.servers:
            for listener in server.sockets:
                with socket.socket(fileno=os.dup(listener.fileno())) as duplicate:
                    duplicate.setblocking(False)
                    with contextlib.suppress(OSError):  # an empty backlog, or no descriptor
                        while len(accepted) < self.config.backlog:
                            accepted.append(duplicate.accept()[0])
            server.close()
        for listener in sockets:
            listener.close()
        for client in accepted:
            client.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._new_protocol, client)

    def _new_protocol(self) -> HttpProtocol:
        return HttpProtocol(self.config, self.server_state, self.lifespan.state)

    def _is_busy(self) -> bool:
        return bool(self.server_state.connections or self.server_state.tasks)

    async def _wait_until_idle(self, seconds: float) -> None:
        """Return when all connections are closed, after `seconds`, or on a second stop signal."""
        ticks = 0
        while self._is_busy() and not self._stop.at_once and ticks < seconds * TICKS_PER_SECOND:
            await asyncio.sleep(1 / TICKS_PER_SECOND)
            self._tick()
            ticks += 1
            if ticks % TICKS_PER_SECOND == 0:
                self._enforce_timeouts()

    async def _force_exit(self) -> None:
        """Answer unfinished requests with a 503, and end the process.

        It would not end by itself while a handler waits for the database.
        """
        await asyncio.sleep(1 / TICKS_PER_SECOND)  # let received requests start their tasks
        tasks = self.server_state.tasks
        counts = {"requests": len(tasks), "connections": len(self._connections())}
        logger.warning("stopping with unfinished requests", extra=counts)
        for task in list(tasks):
            task.cancel()  # ProblemMiddleware responds
        for connection in self._connections():
            connection.shutdown_now()
        self._stop.at_once = False
        await self._wait_until_idle(FORCED_EXIT_SECONDS)
        if (on_forced_exit := self.lifespan.state.get(ON_FORCED_EXIT)) is not None:
            on_forced_exit()
        self.clean_up()
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
