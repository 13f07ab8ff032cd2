"""Interrupts connections to a database that no longer responds.

libpq waits without limit. If the server is suspended or packets are lost, its statement_timeout has
no effect, and TCP reports nothing as long as the server's kernel sends acknowledgements.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging import getLogger
from typing import Any

import psycopg2
from sqlalchemy import Engine, event

logger = getLogger(__name__)

CHECK_INTERVAL_SECONDS = 0.25


class InterruptibleConnection(psycopg2.extensions.connection):
    """A psycopg2 connection that another thread can interrupt.

    It closes the connection instead of cancelling the statement: a cancelled commit that waits for
    a synchronous standby would return successfully although the standby does not have it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # libpq may close its descriptor at any time and the number may be reused, so keep a copy.
        try:
            self._socket = socket.socket(fileno=os.dup(self.fileno()))
        except OSError as error:
            super().close()
            raise psycopg2.OperationalError("no file descriptor is left") from error
        self._input = select.poll()
        self._input.register(self._socket, select.POLLIN)
        self.waiting_since = time.monotonic()
        """The start of the latest statement."""
        self.prepared: set[str] | None = set()
        """The names of the statements prepared on this connection; None if it must not."""
        self.is_direct = False
        """Whether it is known that no pooler is in between."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """Create a cursor and restart the clock; each statement uses a new cursor."""
        self.waiting_since = time.monotonic()
        return super().cursor(*args, **kwargs)

    def is_closed(self) -> bool:
        """Return whether an idle connection has ended: the server sends nothing else while idle."""
        return bool(self.closed or self._input.poll(0))

    def interrupt(self) -> None:
        """Make the waiting thread fail as if the server had closed the connection."""
        with suppress(OSError):  # already closed
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection and our copy of its descriptor."""
        super().close()
        self._socket.close()


class Watchdog:
    """Interrupts an engine's connections that wait for the server longer than `seconds`.

    It may act up to 0.3 s late. Connecting, checkout and each statement restart the clock,
    which stops when the connection returns to the pool.
    """

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._seconds = seconds
        self._checked_out: set[InterruptibleConnection] = set()
        self._stopped = threading.Event()
        # Insert first: SQLAlchemy's own queries on a new connection may also hang.
        event.listen(engine, "connect", self._begin, insert=True)
        event.listen(engine, "checkout", lambda raw, record, _: self._begin(raw, record))
        event.listen(engine, "checkin", self._end)
        event.listen(engine, "close", self._end)
        threading.Thread(target=self._watch, name="database-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Stop watching; connections still in use are no longer interrupted."""
        self._stopped.set()

    def _begin(self, connection: Any, _record: object) -> None:
        connection.waiting_since = time.monotonic()
        self._checked_out.add(connection)

    def _end(self, connection: Any, _record: object) -> None:
        self._checked_out.discard(connection)

    def _watch(self) -> None:
        while not self._stopped.wait(CHECK_INTERVAL_SECONDS):
            latest = time.monotonic() - self._seconds
            # list() copies atomically, so other threads cannot change the set meanwhile.
            for connection in list(self._checked_out):
                if connection.waiting_since < latest:
                    self._checked_out.discard(connection)
                    logger.warning("database silent", extra={"seconds": self._seconds})
                    connection.interrupt()


class NoResponse(psycopg2.OperationalError):
    """The server did not respond in time."""


@contextmanager
def interrupt_after(connection: InterruptibleConnection, seconds: float) -> Iterator[None]:
    """Interrupt the connection if the block takes longer, and raise NoResponse from the block."""
    is_late = threading.Event()

    def interrupt() -> None:
        is_late.set()  # before the block wakes up
        connection.interrupt()

    timer = threading.Timer(seconds, interrupt)
    timer.start()
    try:
        yield
    except psycopg2.Error as error:
        if is_late.is_set():
            raise NoResponse(f"no answer within {seconds} seconds") from error
        raise
    finally:
        timer.cancel()
