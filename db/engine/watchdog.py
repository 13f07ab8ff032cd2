"""Cuts a connection whose other side has gone silent, for which libpq itself would wait for ever.

A server that is stopped, or behind a network that swallows packets, ends no statement, so that the
server's own statement_timeout is of no use; and TCP notices nothing while the kernel acknowledges.
"""

import os
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

ROUND_SECONDS = 0.25


class Line(psycopg2.extensions.connection):
    """A connection that another thread can cut, with a `connection_factory` for psycopg2.

    To cut is not to cancel: a commit that waits for a synchronous standby would be told by a cancel
    that it is done, though the standby does not have it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A descriptor of our own: libpq closes its one whenever it likes, and the number may be
        # another's by the time that it is cut.
        try:
            self._socket = socket.socket(fileno=os.dup(self.fileno()))
        except OSError as error:
            super().close()
            raise psycopg2.OperationalError("no file descriptor is left") from error
        self.since = time.monotonic()
        """When the other side was asked last."""

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """As psycopg2's; each statement has one of its own."""
        self.since = time.monotonic()
        return super().cursor(*args, **kwargs)

    def commit(self) -> None:
        """As psycopg2's."""
        self.since = time.monotonic()
        super().commit()

    def cut(self) -> None:
        """Make whoever waits for the other side fail as if that had closed the connection."""
        with suppress(OSError):  # it was closed meanwhile
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        self._socket.close()


class Watchdog:
    """Cuts a connection of an engine that leaves something unanswered for longer than `seconds`.

    That may be up to 0.3 late. What counts is the time since the connection was made, was taken
    from the pool, began a statement or began to commit, until it is back in the pool.
    """

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._seconds = seconds
        self._lent: set[Line] = set()
        self._stopped = threading.Event()
        # First, as what SQLAlchemy asks a new connection may be left without an answer too.
        event.listen(engine, "connect", self._begin, insert=True)
        event.listen(engine, "checkout", lambda line, record, _: self._begin(line, record))
        event.listen(engine, "checkin", self._end)
        event.listen(engine, "close", self._end)
        threading.Thread(target=self._watch, name="database-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Let what is still lent out be as long as it likes."""
        self._stopped.set()

    def _begin(self, line: Any, _record: object) -> None:
        line.since = time.monotonic()
        self._lent.add(line)

    def _end(self, line: Any, _record: object) -> None:
        self._lent.discard(line)

    def _watch(self) -> None:
        while not self._stopped.wait(ROUND_SECONDS):
            latest = time.monotonic() - self._seconds
            # A copy in one step, which no other thread can interrupt.
            for line in list(self._lent):
                if line.since < latest:
                    self._lent.discard(line)
                    logger.warning("database silent", extra={"seconds": self._seconds})
                    line.cut()


class Silent(psycopg2.OperationalError):
    """The other side did not answer in time."""


@contextmanager
def cut_after(line: Line, seconds: float) -> Iterator[None]:
    """Cut `line` if the block takes longer, which then raises Silent."""
    is_late = threading.Event()

    def cut() -> None:
        is_late.set()  # before the block is woken by what follows
        line.cut()

    timer = threading.Timer(seconds, cut)
    timer.start()
    try:
        yield
    except psycopg2.Error as error:
        if is_late.is_set():
            raise Silent(f"no answer within {seconds} seconds") from error
        raise
    finally:
        timer.cancel()
