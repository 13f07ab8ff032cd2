"""Lends connections: at most a fixed number, in the order in which they are asked for."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import psycopg2

from db.engine import bridge
from db.engine.connections.backoff import ConnectBackoff
from db.engine.connections.connection import Connection
from db.engine.failures import PoolTimeout

WAIT_SECONDS = 5


class PoolHooks(NamedTuple):
    """What metrics observe."""

    on_wait: Callable[[float], None]
    """Called with the seconds that a request waited for a connection, also if it got none."""
    on_use: Callable[[int], None]
    """Called with the change of the number of lent connections."""


class Pool:
    """Up to `size` connections, for one event loop.

    The connection that was returned last is lent first. So those that are no longer needed stay
    idle, and the server may end them.
    """

    def __init__(
        self, connect: Callable[[], Connection], size: int, hooks: PoolHooks | None = None
    ) -> None:
        self._connect = connect
        self._size = size
        self._hooks = hooks
        self._idle: list[Connection] = []
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._count = 0
        self._backoff = ConnectBackoff()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._generation = 0
        """Connections of earlier generations are not lent again."""

    def take(self, *, seconds: float | None = None) -> Connection:
        """Lend a connection, after a wait of up to `seconds`, by default WAIT_SECONDS.

        Raises PoolTimeout, and OperationalError if no connection can be opened.
        """
        seconds = WAIT_SECONDS if seconds is None else seconds
        if self._hooks is None:
            return self._take(seconds)
        started = time.perf_counter()
        try:
            connection = self._take(seconds)
        finally:
            self._hooks.on_wait(time.perf_counter() - started)
        self._hooks.on_use(1)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Take a connection back, or close it if it is broken."""
        if self._hooks is not None:
            self._hooks.on_use(-1)
        self._give_back(connection)

    def close(self) -> None:
        """Close the idle connections. Lent ones must have been returned."""
        while self._idle:
            self._idle.pop().close()

    def _take(self, seconds: float) -> Connection:
        self._check_caller()
        while self._idle:
            connection = self._idle.pop()
            if not connection.was_ended():
                return connection
            connection.close()
            self._count -= 1
        if self._count < self._size:
            self._count += 1
        elif (given := self._wait(seconds)) is not None:
            return given
        try:
            return self._open()
        except BaseException:
            self._free_place()
            raise

    def _check_caller(self) -> None:
        if bridge.can_wait():
            self._loop = asyncio.get_running_loop()
        elif self._loop is not None and self._loop.is_running():
            raise RuntimeError("the pool belongs to an event loop: use db.engine.bridge.run()")

    def _open(self) -> Connection:
        self._backoff.begin()
        generation = self._generation
        try:
            connection = self._connect()
        except psycopg2.Error as error:
            self._backoff.failed(error)
            raise
        self._backoff.succeeded()
        connection.generation = generation
        return connection

    def _wait(self, seconds: float) -> Connection | None:
        """Wait for a connection, or for the place of one that was closed: then return None."""
        if not bridge.can_wait():
            raise PoolTimeout  # nobody else could return one
        loop = asyncio.get_running_loop()
        given: asyncio.Future[Connection | None] = loop.create_future()
        self._waiting.append(given)
        timer = loop.call_later(seconds, _expire, given)
        try:
            return bridge.wait(given)
        except asyncio.CancelledError:
            if given.done() and not given.cancelled() and given.exception() is None:
                connection = given.result()
                if connection is None:
                    self._free_place()
                else:
                    self._give_back(connection)
            raise
        finally:
            timer.cancel()

    def _give_back(self, connection: Connection) -> None:
        if connection.leads_elsewhere and connection.generation == self._generation:
            self._generation += 1
            self._count -= len(self._idle)
            self.close()
        if connection.generation != self._generation or connection.is_closed():
            connection.close()
            self._free_place()
        elif (waiting := self._next_waiting()) is not None:
            waiting.set_result(connection)
        else:
            self._idle.append(connection)

    def _free_place(self) -> None:
        if (waiting := self._next_waiting()) is not None:
            waiting.set_result(None)
        else:
            self._count -= 1

    def _next_waiting(self) -> asyncio.Future[Connection | None] | None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                return waiting
        return None


def _expire(given: asyncio.Future[Connection | None]) -> None:
    if not given.done():
        given.set_exception(PoolTimeout())
