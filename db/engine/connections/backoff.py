"""Limits how often the server tries to connect while PostgreSQL refuses connections."""

import time

import psycopg2

FIRST_SECONDS = 0.05
MOST_SECONDS = 0.5


class ConnectBackoff:
    """After a failed connection, allows one attempt per interval; others fail at once.

    The interval doubles with each failure up to MOST_SECONDS, and the first success ends it.
    """

    def __init__(self) -> None:
        self._interval = 0.0
        self._next_attempt = 0.0
        self._reason = ""

    def begin(self) -> None:
        """Allow an attempt, or raise OperationalError with the reason of the last failure."""
        if self._interval:
            now = time.monotonic()
            if now < self._next_attempt:
                raise psycopg2.OperationalError(self._reason)
            self._next_attempt = now + self._interval

    def failed(self, error: psycopg2.Error) -> None:
        """Note a failed attempt."""
        self._interval = min(MOST_SECONDS, max(FIRST_SECONDS, self._interval * 2))
        self._next_attempt = time.monotonic() + self._interval
        self._reason = str(error)

    def succeeded(self) -> None:
        """Note a connection."""
        self._interval = 0.0
