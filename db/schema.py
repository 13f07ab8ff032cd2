"""The state of the schema: bringing it to head, and saying how far it is from there."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script, ScriptDirectory
from psycopg2 import errorcodes
from sqlalchemy import Connection, text

import migrations
from db import address, engine, roles, watchdog
from db.errors import SchemaAhead

logger = logging.getLogger(__name__)

MIGRATION_LOCK = 7236251904476921437
"""The number means nothing; it has to differ from those of other programs in the database."""
SECONDS_BEFORE_TELLING = 2

READINESS_SECONDS = 2


def head() -> str:
    """The revision that this code is written for."""
    return _revisions()[-1]


def pending(database: Connection | str) -> list[str]:
    """The revisions that are still to be applied, the next one first.

    None are where the database is ahead of this code. Raises Unavailable and Timeout.
    """
    if isinstance(database, Connection):
        return _missing(MigrationContext.configure(database).get_current_heads())
    private = engine.private_engine(database)
    with engine.translated(), private.connect() as connection:
        return pending(connection)


def upgrade(url: str, *, on_step: Callable[[str], None] | None = None) -> None:
    """Apply what is pending, all or nothing; of two at once the second waits for the first.

    `on_step` is told of each revision once it is applied. Raises Unavailable and Timeout, and
    SchemaAhead for a database that a newer version has migrated.
    """

    def tell(*, step: MigrationInfo, **_: Any) -> None:
        if on_step is not None and isinstance(step.up_revision, Script):
            on_step(f"{step.up_revision.revision} {step.up_revision.doc}")

    private = engine.private_engine(url)
    with engine.translated(), private.begin() as connection:
        _wait_for_others(connection, on_step)
        ahead = _ahead(MigrationContext.configure(connection).get_current_heads())
        if ahead is not None:
            raise SchemaAhead(ahead)
        config = _config()
        config.attributes |= {"connection": connection, "on_step": tell}
        command.upgrade(config, "head")


def _wait_for_others(connection: Connection, tell: Callable[[str], None] | None) -> None:
    """Take the lock of migrations until the transaction ends; say so where that takes a while."""
    tell_at = time.monotonic() + SECONDS_BEFORE_TELLING
    while not connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK})")):
        if tell is not None and time.monotonic() > tell_at:
            tell("Waiting for another migration to end")
            tell_at = float("inf")
        time.sleep(0.1)


def readiness(url: str, *, explain: bool = False, exact: bool = False) -> str | None:
    """None when the database answers and its schema is at head; otherwise a sentence saying why.

    A schema that a newer version has migrated will do, unless it must be `exact`: while servers are
    replaced one by one, the old ones serve on, or nobody would.

    With `explain` the sentence holds the driver's own words, which name hosts and users; otherwise
    they go to the log.

    It asks over a connection of its own: a pool with all connections lent out is busy, not unready.
    It takes two seconds at the most, two more with a database that stops in between, and of several
    hosts each may take that long to connect to.
    """
    parameters = address.driver_args(
        address.normalise(url),
        connect_timeout=READINESS_SECONDS,
        settings={"statement_timeout": READINESS_SECONDS * 1000},
    )
    try:
        with (
            closing(psycopg2.connect(connection_factory=watchdog.Line, **parameters)) as connection,
            watchdog.cut_after(connection, READINESS_SECONDS),
        ):
            if _is_read_only(connection):
                return "The database is read-only."
            unusable = _unusable(connection)
            applied = _applied(connection)
    except psycopg2.errors.InsufficientPrivilege:
        return _lacks("SELECT ON alembic_version")
    except psycopg2.Error as error:
        summary = "The database cannot be reached"
        if isinstance(error, watchdog.Silent) or error.pgcode == errorcodes.QUERY_CANCELED:
            summary = "The database did not answer in time"
        reason = str(error).partition("\n")[0]
        if explain:
            return f"{summary}: {reason}"
        logger.warning("database not ready", extra={"reason": reason})
        return f"{summary}."
    if exact and (ahead := _ahead(applied)) is not None:
        return ahead
    missing = _missing(applied)
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


def _missing(applied: Sequence[str]) -> list[str]:
    if not applied:
        return list(_revisions())
    if _ahead(applied) is not None:
        return []
    revisions = _revisions()
    return list(revisions[1 + max(revisions.index(revision) for revision in applied) :])


def _ahead(applied: Sequence[str]) -> str | None:
    unknown = [revision for revision in applied if revision not in _revisions()]
    if not unknown:
        return None
    return f"The schema is ahead of this version, which does not know {', '.join(unknown)}."


@cache
def _revisions() -> tuple[str, ...]:
    """All revisions from the first to head: there is one line of them, without branches."""
    scripts = ScriptDirectory.from_config(_config())
    return tuple(script.revision for script in scripts.walk_revisions())[::-1]


def _config() -> Config:
    # Found as a package, so that it is found in an installed wheel. `%` would be interpolated.
    folder = Path(migrations.__path__[0])
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config
