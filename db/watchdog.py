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
        self._socket = socket.socket(fileno=os.dup(self.fileno()))

    def cut(self) -> None:
        """Make whoever waits for the other side fail as if that had closed the connection."""
        with suppress(OSError):  # it was closed meanwhile
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        self._socket.close()


class Watchdog:
    """Cuts what an engine's pool lent out for longer than `seconds`, which may be up to 0.3 late.

    From the moment on at which a connection is made or taken from the pool, until it is back there.
    """

    def __init__(self, engine: Engine, seconds: float) -> None:
        self._seconds = seconds
        self._lent: dict[Any, float] = {}
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
        self._lent[line] = time.monotonic()

    def _end(self, line: Any, _record: object) -> None:
        self._lent.pop(line, None)

    def _watch(self) -> None:
        while not self._stopped.wait(ROUND_SECONDS):
            latest = time.monotonic() - self._seconds
            # A copy in one step, which no other thread can interrupt.
            for line, since in list(self._lent.items()):
                if since < latest and self._lent.pop(line, None) is not None:
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
