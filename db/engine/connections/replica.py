"""Reads from a replica, if it has everything that was committed before the read began.

A user's last write may have gone through another worker or server, so no memory of ours could know
its position. Instead, the primary is asked for the end of its log, once for all reads that begin
while the previous question is being answered. docs/decisions/0016 compares the alternatives.
"""

import asyncio
import time
from contextlib import closing
from logging import getLogger

import psycopg2

from db.engine import bridge
from db.engine.connections.connection import Connection
from db.engine.connections.pool import Pool
from db.engine.failures import PoolTimeout

logger = getLogger(__name__)

PAUSES = (0.0, 0.002, 0.004, 0.008)
"""Seconds between the looks at the replica. A read waits for it this long at most."""
FREE_SECONDS = 0.05
"""How long a read waits for a free connection to the replica."""
ANSWER_SECONDS = 0.25
"""How long the replica may take to tell how far it is."""
SECONDS_BEHIND = 1
SECONDS_UNREACHABLE = 10
"""How long a replica is left alone."""

# Where the next record goes: after every commit that was acknowledged, also an asynchronous one.
_WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
_REPLAYED = """
SELECT CASE WHEN pg_is_in_recovery()
  THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint ELSE -1 END
"""


class Replica:
    """A pool of connections to a replica, or to several that are equally good."""

    def __init__(self, primary: Pool, replica: Pool) -> None:
        self._primary = primary
        self.pool = replica
        self._rests_until = 0.0
        self._is_used = True
        self._asking: asyncio.Task[int] | None = None
        self._next: asyncio.Task[int] | None = None

    def take(self) -> Connection | None:
        """Lend a connection, or return None if the primary must be read instead.

        Raises what the primary raises when it is asked.
        """
        if time.monotonic() < self._rests_until:
            return None
        if not self._is_used:
            self._rest(SECONDS_BEHIND)  # one read tries; the others need not wait for it
        is_trying = not self._is_used
        needed = self._written()
        if not self._is_used and not is_trying:
            return None
        try:
            connection = self.pool.take(seconds=FREE_SECONDS)
        except PoolTimeout:  # the primary helps
            return None
        except psycopg2.Error as error:
            self._rest(SECONDS_UNREACHABLE, str(error).partition("\n")[0])
            return None
        try:
            if self._has(connection, needed):
                self._is_used, self._rests_until = True, 0.0
                return connection
            self._rest(SECONDS_BEHIND, "it is behind")
        except psycopg2.Error as error:
            self._rest(SECONDS_UNREACHABLE, str(error).partition("\n")[0])
        except BaseException:
            self.pool.give_back(connection)
            raise
        self.pool.give_back(connection)
        return None

    def _rest(self, seconds: float, reason: str | None = None) -> None:
        self._rests_until = time.monotonic() + seconds
        if self._is_used and reason is not None:
            logger.warning("replica not used", extra={"reason": reason})
        self._is_used = False

    def _has(self, connection: Connection, needed: int) -> bool:
        """Return whether the replica has replayed the log up to a position."""
        for pause in PAUSES:
            if pause:
                bridge.sleep(pause)
            if _ask(connection, _REPLAYED, ANSWER_SECONDS) >= needed:
                return True
        return False

    def _written(self) -> int:
        """Return a position of the primary's log after all that was committed before the call."""
        if not bridge.can_wait():
            return self._ask_primary()
        if self._next is None:
            self._next = bridge.shared(self._ask_after_current())
        return bridge.wait(asyncio.shield(self._next))

    async def _ask_after_current(self) -> int:
        """Ask the primary when the current question is answered, for all who wait until then."""
        if self._asking is not None:
            await asyncio.wait([self._asking])
        self._asking, self._next = self._next, None
        return await bridge.run(self._ask_primary)

    def _ask_primary(self) -> int:
        connection = self._primary.take()
        try:
            return _ask(connection, _WRITTEN)
        finally:
            self._primary.give_back(connection)


def _ask(connection: Connection, sql: str, seconds: float | None = None) -> int:
    with closing(connection.execute(sql, seconds=seconds)) as answer:
        ((position,),) = answer.fetchall()
    return int(position)
