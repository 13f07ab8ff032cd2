"""Distributes the tables over the nodes of Citus by their rows' owner."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, exc, text

from db import engine, schema
from db.errors import MigrationRefused
from db.schema.nodes import obstacle
from db.schema.placement import steps

_OTHER_SESSIONS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND application_name NOT LIKE 'citus!_%' ESCAPE '!'
"""


def pending(url: str, migrations: Path) -> list[str]:
    """Return the statements that `distribute` would execute; empty if nothing is to be done.

    Raises Unavailable, Timeout, and MigrationRefused if Citus or the schema is not ready.
    """
    with engine.translated(), engine.private_engine(url).connect() as connection:
        _refuse_unready(connection, migrations)
        return list(steps(connection))


def distribute(url: str, migrations: Path, *, on_step: Callable[[str], None]) -> None:
    """Distribute all tables that are not distributed yet, in one transaction.

    Waits for running migrations. `on_step` receives each statement before it is executed. Raises
    Unavailable, Timeout, and MigrationRefused if something is missing or servers are connected.
    """
    with engine.translated(), engine.private_engine(url).begin() as connection:
        schema.wait_for_others(connection, on_step)
        _refuse_unready(connection, migrations)
        left = list(steps(connection))
        if not left:
            return
        others = connection.scalar(text(_OTHER_SESSIONS))
        if others:
            raise MigrationRefused(
                f"{others} other sessions use the database: stop all servers and poolers first,"
                " because a running server would not find the distributed rows"
            )
        for _ in range(2):  # the second round frees the space of the rows that were copied
            for step in left:
                on_step(step.partition("\n")[0])
                _execute(connection, step)
            left = list(steps(connection))
        if left:
            raise MigrationRefused(f"Nothing was changed: this had no effect: {left[0]}")


def _execute(connection: Connection, step: str) -> None:
    try:
        connection.exec_driver_sql(step)
    except exc.DBAPIError as error:
        reason = str(error.orig).partition("\n")[0]
        raise MigrationRefused(f"Nothing was changed: {reason}") from error


def _refuse_unready(connection: Connection, migrations: Path) -> None:
    reason = obstacle(connection)  # first, because on a worker the schema seems to be missing
    if reason is not None:
        raise MigrationRefused(reason)
    missing = schema.pending(connection, migrations)
    if missing:
        raise MigrationRefused(
            f"The schema is behind this version: run agent-api migrate to apply {missing[0]}"
        )
