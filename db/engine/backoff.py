"""Limits how often the server tries to connect while PostgreSQL refuses connections."""

import threading
import time
from typing import Any

import psycopg2
from sqlalchemy import Engine, event

FIRST_SECONDS = 0.05
MOST_SECONDS = 0.5


class ConnectBackoff:
    """After a failed connection, allows one attempt per interval; others fail at once.

    The interval doubles with each failure up to MOST_SECONDS, and the first success ends it.
    """

    def __init__(self, engine: Engine) -> None:
        self._lock = threading.Lock()
        self._interval = 0.0
        self._next_attempt = 0.0
        self._reason = ""
        event.listen(engine, "do_connect", self._connect)

    def _connect(self, dialect: Any, _record: object, arguments: Any, parameters: Any) -> Any:
        with self._lock:
            if self._interval:
                now = time.monotonic()
                if now < self._next_attempt:
                    raise psycopg2.OperationalError(self._reason)
                self._next_attempt = now + self._interval
        try:
            connection = dialect.connect(*arguments, **parameters)
        except psycopg2.Error as error:
            with self._lock:
                self._interval = min(MOST_SECONDS, max(FIRST_SECONDS, self._interval * 2))
                self._next_attempt = time.monotonic() + self._interval
                self._reason = str(error)
            raise
        self._interval = 0.0
        return connection
