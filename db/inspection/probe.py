"""Opens a short-lived connection to a database, and runs queries on it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

from db.engine import session, translated
from db.engine.connections import address
from db.engine.connections.connection import Connection

SECONDS = 2
"""Timeout of a connection attempt to one address, and of a statement."""


class Place(NamedTuple):
    """What a database URL leads to, without its password."""

    hosts: str
    database: str
    user: str

    def __str__(self) -> str:
        """Return `database on hosts`."""
        return f"{self.database} on {self.hosts}"


def place(url: str) -> Place:
    """Return where `url` leads. Service files and other defaults of libpq are not read."""
    target = address.normalise(url)
    given = address.driver_args(target, connect_timeout=SECONDS, settings={})
    names = str(given.get("host") or given.get("hostaddr") or "this machine").split(",")
    ports = str(given.get("port") or "").split(",")
    hosts = [_with_port(name, ports[min(i, len(ports) - 1)]) for i, name in enumerate(names)]
    user = str(given.get("user") or "")
    return Place(", ".join(hosts), str(given.get("dbname") or user), user)


def _with_port(host: str, port: str) -> str:
    if host.startswith("/") or not port:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@contextmanager
def connected(url: str, *, database: str | None = None) -> Iterator[Connection]:
    """Yield a new connection to the database of `url`, or to another one of the same server.

    Raises Unavailable if no address of any host accepts it; each gets SECONDS.
    """
    target = address.normalise(url)
    if database is not None:
        target = target.set(database=database)
    settings = session.settings(target, statement_timeout_ms=SECONDS * 1000)
    parameters = address.driver_args(target, connect_timeout=SECONDS, settings=settings)
    with translated():
        opened = Connection(parameters, settings=session.set_local(settings), seconds=SECONDS)
    with closing(opened):
        yield opened


def query(
    connection: Connection, statement: str, parameters: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Execute a statement with the settings of the session, and return its rows.

    Raises Unavailable and Timeout.
    """
    with translated(), closing(connection.execute(statement, parameters)) as cursor:
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def query_as_request(
    connection: Connection, statement: str, parameters: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Execute a statement with the settings of a request, and return its rows.

    Raises Unavailable and Timeout.
    """
    return query(connection, connection.settings + statement, parameters)
