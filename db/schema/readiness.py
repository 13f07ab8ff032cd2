"""Checks whether the database can serve requests."""

import logging
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import errorcodes

from db.engine import roles, session
from db.engine.connections import address
from db.engine.connections.connection import Connection
from db.engine.failures import NoResponse, is_read_only
from db.schema import ahead_of, missing_from, requirements, wrong_encoding

logger = logging.getLogger(__name__)

READINESS_SECONDS = 2
Ask = Callable[..., list[tuple[Any, ...]]]
_READ_ONLY = "The database is read-only."


def check(url: str, migrations: Path, *, explain: bool = False, exact: bool = False) -> str | None:
    """Return None if the database answers and has the current schema; otherwise the reason.

    A newer schema is accepted so that old servers keep serving during a rolling upgrade; `exact`
    refuses it. With `explain` the reason includes the driver's message, which names hosts and
    users; otherwise the message is logged.

    The check opens its own connection because a pool without free connections is busy, not unready.
    It takes at most 2 s to connect per host, and 2 s more if the database stops meanwhile.
    """
    target = address.normalise(url)
    settings = session.settings(target, statement_timeout_ms=READINESS_SECONDS * 1000)
    parameters = address.driver_args(target, connect_timeout=READINESS_SECONDS, settings=settings)
    try:
        with closing(
            Connection(parameters, settings=session.set_local(settings), seconds=READINESS_SECONDS)
        ) as connection:
            return _problem(partial(_ask, connection), migrations, exact=exact)
    except psycopg2.Error as error:
        if is_read_only(error):
            return _READ_ONLY
        summary = "The database cannot be reached"
        if isinstance(error, NoResponse) or error.pgcode == errorcodes.QUERY_CANCELED:
            summary = "The database did not respond in time"
        reason = str(error).partition("\n")[0]
        if explain:
            return f"{summary}: {reason}"
        logger.warning("database not ready", extra={"reason": reason})
        return f"{summary}."


def _ask(
    connection: Connection, statement: str, parameters: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement that is executed as those of requests."""
    with closing(connection.execute(connection.settings + statement, parameters)) as cursor:
        return cursor.fetchall()


def _problem(ask: Ask, migrations: Path, *, exact: bool) -> str | None:
    """Return the first reason why requests would fail, or None."""
    ((encoding, read_only),) = ask(
        "SELECT current_setting('server_encoding'), current_setting('transaction_read_only')"
    )
    if read_only == "on":
        return _READ_ONLY
    if (reason := wrong_encoding(encoding)) is not None:
        return reason
    try:
        applied = [revision for (revision,) in ask("SELECT version_num FROM alembic_version")]
    except psycopg2.errors.UndefinedTable:
        applied = []
    except psycopg2.errors.InsufficientPrivilege:
        return _lacks("SELECT ON alembic_version")
    if exact and (ahead := ahead_of(applied, migrations)) is not None:
        return ahead
    missing = missing_from(applied, migrations)
    if missing:
        pending = ", ".join(missing)
        return f"The schema is behind this version: run agent-api migrate to apply {pending}."
    usable = {role for (role,) in ask(roles.USABLE)}
    unusable = [role for role in roles.ALL if role not in usable]
    return _lacks(", ".join(unusable)) if unusable else requirements.unmet(ask)


def _lacks(right: str) -> str:
    return f"The server's database user lacks a right: run GRANT {right} TO that user."
