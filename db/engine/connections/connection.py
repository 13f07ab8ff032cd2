"""A connection to PostgreSQL whose statements wait on the event loop."""

import asyncio
import select
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from logging import getLogger
from typing import Any, NoReturn

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_WRITE, UNICODE, cursor, new_array_type

from db.engine import bridge, session
from db.engine.connections import hosts
from db.engine.connections.sockets import READ, WRITE, Sockets, sockets
from db.engine.failures import ConnectionLost, NoResponse, leads_elsewhere

logger = getLogger(__name__)

CONNECTION_BAD = 1
"""libpq's ConnStatusType, https://www.postgresql.org/docs/current/libpq-status.html"""

AroundStatement = Callable[[str, Mapping[str, Any] | None], AbstractContextManager[object]]
"""Called with the SQL and the parameters; the statement is executed within the context."""

# OIDs of json, timestamp, uuid, jsonb and uuid[], which stay texts because documents contain them
# as such.
_TYPES = dict.fromkeys((114, 1114, 2950, 3802), UNICODE) | {
    2951: new_array_type((2951,), "UUIDARRAY", UNICODE)
}


class Connection:
    """A connection that is used by one request at a time.

    Each statement commits by itself, unless it is between BEGIN and COMMIT. Errors are psycopg2's.

    PostgreSQL's statement_timeout has no effect while the server is suspended or packets are lost.
    Therefore a statement also ends after `seconds`. That closes the connection instead of
    cancelling the statement: a cancelled commit that waits for a synchronous standby would return
    successfully although the standby does not have it.
    """

    def __init__(
        self,
        parameters: hosts.Parameters,
        *,
        settings: str,
        seconds: float,
        prepares: bool = False,
        around_statement: AroundStatement | None = None,
    ) -> None:
        """Connect. `settings` is the SQL that sets what a statement depends on.

        Raises OperationalError.
        """
        self._raw = hosts.connect(parameters)
        self._raw.string_types.update(_TYPES)
        self._seconds = seconds
        self._around_statement = around_statement
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sockets: Sockets
        self._is_sending = False
        self._descriptor = self._raw.fileno()
        self._result: asyncio.Future[None] | None = None
        self._input = select.poll()
        self._input.register(self._descriptor, select.POLLIN)
        self.settings = settings + session.set_local_for(self.server_version)
        """The SQL, to be sent in front of a statement."""
        self.generation = 0
        """Set by the pool."""
        self.leads_elsewhere = False
        """Whether an error showed that new connections may reach another server, or newer plans."""
        self.prepared: set[str] | None = set() if prepares else None
        """The names of the statements prepared on this connection; None if it must not."""
        self.is_direct = False
        """Whether it is known that no pooler is in between."""
        self.topics: set[tuple[str, ...]] = set()
        """What the current transaction has changed, for the hook `on_commit`."""

    @property
    def server_version(self) -> int:
        """For example 150004 for 15.4."""
        return int(self._raw.server_version)

    @property
    def backend_pid(self) -> int:
        """The process id that the start of the connection named: a pooler names another one."""
        return int(self._raw.info.backend_pid)

    def execute(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        seconds: float | None = None,
    ) -> cursor:
        """Execute one or more statements; the cursor has the result of the last one.

        `seconds` replaces those of the connection. Raises ConnectionLost, and other errors of
        psycopg2.
        """
        if self._around_statement is None:
            return self._execute(sql, parameters, seconds or self._seconds)
        with self._around_statement(sql, parameters):
            return self._execute(sql, parameters, seconds or self._seconds)

    def _execute(self, sql: str, parameters: Mapping[str, Any] | None, seconds: float) -> cursor:
        try:
            opened: cursor = self._raw.cursor()
            opened.execute(sql, parameters)
            self._wait(seconds)
        except psycopg2.Error as error:
            # psycopg2's `closed` only tells whether it was closed on our side.
            is_lost = isinstance(error, NoResponse) or self._raw.info.status == CONNECTION_BAD
            self.leads_elsewhere |= is_lost or leads_elsewhere(error)
            if is_lost:
                self.close()  # at once: libpq has closed the descriptor, and the next file gets it
                if not isinstance(error, ConnectionLost):
                    raise ConnectionLost(str(error).strip()) from error
            raise
        except BaseException:
            self.close()  # the request was cancelled in the middle of the statement
            raise
        return opened

    def is_closed(self) -> bool:
        """Return whether the connection is known to have ended."""
        return bool(self._raw.closed)

    def was_ended(self) -> bool:
        """Return whether the server has ended an idle connection: it sends nothing else."""
        return bool(self._raw.closed or self._input.poll(0))

    def close(self) -> None:
        """Close the connection, even in the middle of a statement."""
        self._detach()
        self._raw.close()

    def _wait(self, seconds: float) -> None:
        """Wait for the result of what was sent."""
        state = self._raw.poll()
        if state == POLL_OK:
            return
        if bridge.can_wait():
            self._wait_on_loop(state, seconds)
            return
        until = time.monotonic() + seconds
        while state != POLL_OK:
            try:
                bridge.wait_for_socket(self._descriptor, writable=state == POLL_WRITE, until=until)
            except TimeoutError:
                _give_up(seconds)
            state = self._raw.poll()

    def _wait_on_loop(self, state: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._detach()
            # It stays watched between statements, which saves two system calls for each.
            self._sockets = sockets()
            self._sockets.watch(self._descriptor, READ, self._advance)
            self._loop = loop
        if state == POLL_WRITE:
            self._sockets.change(self._descriptor, READ | WRITE, self._advance)
            self._is_sending = True
        self._result = loop.create_future()
        timer = loop.call_later(seconds, _expire, self._result, seconds)
        try:
            bridge.wait(self._result)
        finally:
            timer.cancel()
            self._result = None

    def _advance(self) -> None:
        """Continue, because the socket is ready. Called by the event loop."""
        result = self._result
        if result is None or result.done():  # idle: the server has closed the connection
            self._detach()
            return
        try:
            state = self._raw.poll()
        except psycopg2.Error as error:
            self._detach()  # at once, because libpq may have closed the descriptor
            result.set_exception(error)
            return
        if self._is_sending and state != POLL_WRITE:
            self._sockets.change(self._descriptor, READ, self._advance)
            self._is_sending = False
        if state == POLL_OK:
            result.set_result(None)

    def _detach(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._sockets.forget(self._descriptor)
        self._loop = None


def _expire(result: asyncio.Future[None], seconds: float) -> None:
    try:
        _give_up(seconds)
    except NoResponse as error:
        if not result.done():
            result.set_exception(error)


def _give_up(seconds: float) -> NoReturn:
    logger.warning("database silent", extra={"seconds": seconds})
    raise NoResponse(f"no answer within {seconds} seconds")
