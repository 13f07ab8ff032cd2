"""Finds out whether a pooler such as PgBouncer is in front of PostgreSQL, and how it works.

A pooler reports a process id of its own at the start of a connection. It does not report its mode,
so two connections read in turn the id of the PostgreSQL process that executes their statements. If
both get the same id, or one of them gets several, the pooler assigns a process per transaction.
"""

from typing import NamedTuple

from db.engine.connections.connection import Connection
from db.errors import Failure
from db.inspection.probe import connected, query

ROUNDS = 5
"""How often each of the two connections reads the id of its process."""
ADMIN = "pgbouncer"
"""The database in which PgBouncer shows its settings to its administrators."""


class Pooler(NamedTuple):
    """A pooler, as far as a client can see."""

    mode: str
    """`session`, `transaction` or `statement`."""
    settings: dict[str, str] | None
    """The settings of PgBouncer, if the user may read them."""
    jit: bool
    """Whether sessions compile statements just in time."""


def look(url: str, connection: Connection) -> Pooler | None:
    """Return the pooler in front of the server, or None. Raises Unavailable and Timeout."""
    if _process(connection) == connection.backend_pid:
        return None
    ((jit,),) = query(connection, "SELECT current_setting('jit') = 'on'")
    with connected(url) as other:
        mode = _mode(connection, other)
    return Pooler(mode, _settings(url), jit)


def _process(connection: Connection) -> int:
    ((pid,),) = query(connection, "SELECT pg_backend_pid()")
    return int(pid)


def _mode(one: Connection, other: Connection) -> str:
    pairs = [(_process(one), _process(other)) for _ in range(ROUNDS)]
    ours, theirs = ({pair[side] for pair in pairs} for side in (0, 1))
    if len(ours) == 1 and len(theirs) == 1 and ours != theirs:
        return "session"
    try:
        query(other, "BEGIN; SELECT 1")
        query(other, "ROLLBACK; SELECT 1")
    except Failure:  # PgBouncer ends the connection
        return "statement"
    return "transaction"


def _settings(url: str) -> dict[str, str] | None:
    try:
        with connected(url, database=ADMIN) as admin:
            return {row[0]: str(row[1]) for row in query(admin, "SHOW CONFIG")}
    except Failure:  # not PgBouncer, or the user may not
        return None
