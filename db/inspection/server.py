"""Reads the version, the user, the limits and the settings of a PostgreSQL server."""

import time
from typing import NamedTuple

from db.engine.connections.connection import Connection
from db.inspection.probe import query

DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
_SETTINGS = ("server_encoding", "TimeZone", *DURABILITY)

_SERVER = """
SELECT current_setting('server_version'), current_setting('server_version_num')::int,
  pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on',
  session_user, rolsuper, current_database(),
  (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend'),
  current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true), '0')::int,
  nullif(rolconnlimit, -1), nullif(datconnlimit, -1)
FROM pg_roles, pg_database
WHERE rolname = session_user AND datname = current_database()
"""
_VALUES = "SELECT name, current_setting(name) FROM unnest(%(names)s) AS name"
_CLOCK = "SELECT extract(epoch FROM clock_timestamp())::float8"


class Server(NamedTuple):
    """A PostgreSQL server, and what it allows the user of the connection."""

    version: str
    version_number: int
    is_standby: bool
    is_read_only: bool
    user: str
    is_superuser: bool
    database: str
    connections: int
    """How many there are, of all users."""
    max_connections: int
    """How many there can be of users who are not superusers."""
    max_of_user: int | None
    max_of_database: int | None
    settings: dict[str, str]


def look(connection: Connection) -> Server:
    """Return the server. Raises Unavailable and Timeout."""
    (found,) = query(connection, _SERVER)
    values = dict(query(connection, _VALUES, {"names": list(_SETTINGS)}))
    return Server._make([*found, values])


def version(connection: Connection) -> str:
    """Return the version, such as 18.4. Raises Unavailable and Timeout."""
    ((text,),) = query(connection, "SELECT current_setting('server_version')")
    return str(text).partition(" ")[0]


def clock_difference(connection: Connection) -> tuple[float, float]:
    """Return by how many seconds the server's clock is ahead of ours, and the possible error.

    Raises Unavailable and Timeout.
    """
    before, started = time.time(), time.monotonic()
    ((there,),) = query(connection, _CLOCK)
    duration = time.monotonic() - started
    return there - (before + duration / 2), duration / 2
