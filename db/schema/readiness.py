"""Checks whether the database can serve requests."""

import logging
from contextlib import closing
from pathlib import Path

import psycopg2
from psycopg2 import errorcodes

from db.engine import address, roles
from db.engine.watchdog import InterruptibleConnection, NoResponse, interrupt_after
from db.schema import ahead_of, missing_from

logger = logging.getLogger(__name__)

READINESS_SECONDS = 2


def check(url: str, migrations: Path, *, explain: bool = False, exact: bool = False) -> str | None:
    """Return None if the database answers and has the current schema; otherwise the reason.

    A newer schema is accepted so that old servers keep serving during a rolling upgrade; `exact`
    refuses it. With `explain` the reason includes the driver's message, which names hosts and
    users; otherwise the message is logged.

    The check opens its own connection because a pool without free connections is busy, not unready.
    It takes at most 2 s, 2 s more if the database stops meanwhile, and 2 s to connect per host.
    """
    parameters = address.driver_args(
        address.normalise(url),
        connect_timeout=READINESS_SECONDS,
        settings={"statement_timeout": READINESS_SECONDS * 1000},
    )
    try:
        with (
            closing(
                psycopg2.connect(connection_factory=InterruptibleConnection, **parameters)
            ) as connection,
            interrupt_after(connection, READINESS_SECONDS),
        ):
            if _is_read_only(connection):
                return "The database is read-only."
            unusable = _unusable(connection)
            applied = _applied(connection)
    except psycopg2.errors.InsufficientPrivilege:
        return _lacks("SELECT ON alembic_version")
    except psycopg2.Error as error:
        summary = "The database cannot be reached"
        if isinstance(error, NoResponse) or error.pgcode == errorcodes.QUERY_CANCELED:
            summary = "The database did not respond in time"
        reason = str(error).partition("\n")[0]
        if explain:
            return f"{summary}: {reason}"
        logger.warning("database not ready", extra={"reason": reason})
        return f"{summary}."
    if exact and (ahead := ahead_of(applied, migrations)) is not None:
        return ahead
    missing = missing_from(applied, migrations)
    if missing:
        return f"The schema is behind this version: {', '.join(missing)} not applied yet."
    return _lacks(", ".join(unusable)) if unusable else None


def _is_read_only(connection: psycopg2.extensions.connection) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        (answer,) = cursor.fetchone() or (False,)
        return bool(answer)


def _applied(connection: psycopg2.extensions.connection) -> list[str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT version_num FROM alembic_version")
            return [row[0] for row in cursor.fetchall()]
    except psycopg2.errors.UndefinedTable:
        return []


def _unusable(connection: psycopg2.extensions.connection) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(roles.USABLE)
        usable = {row[0] for row in cursor.fetchall()}
    return [role for role in roles.ALL if role not in usable]


def _lacks(right: str) -> str:
    return f"The server's database user lacks a right: GRANT {right} TO it."
