"""Migrates the database schema and lists the revisions still to be applied.

`migrations` is the folder with Alembic's env.py and versions. The submodule `readiness` checks
whether a server can use the database.
"""

import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, text

from db import engine
from db.engine import session
from db.errors import MigrationRefused, Timeout, Unavailable
from db.models import Base
from db.schema import placement
from db.schema.obstacles import explain
from db.schema.table_locks import lock_tables

MIGRATION_LOCK = 7236251904476921437
"""An arbitrary number that no other program uses for its advisory locks."""
WAIT_NOTICE_SECONDS = 2
_OTHER_SCHEMA = """
SELECT min(v.relnamespace::regnamespace::text)
FROM pg_class AS v JOIN pg_class AS c USING (relnamespace)
WHERE v.relname = 'alembic_version' AND c.relname = 'conversations'
"""

_EXISTING = "SELECT name FROM unnest(:tables) AS name WHERE to_regclass(name) IS NOT NULL"


def head(migrations: Path) -> str:
    """Return the revision that this version of the code requires."""
    return _revisions(migrations)[-1]


def pending(database: Connection | str, migrations: Path) -> list[str]:
    """Return the revisions still to be applied, in order.

    The list is empty if the database is ahead of this version. Raises Unavailable and Timeout.
    """
    if isinstance(database, Connection):
        return missing_from(MigrationContext.configure(database).get_current_heads(), migrations)
    private = engine.private_engine(database)
    with engine.translated(), private.connect() as connection:
        return pending(connection, migrations)


def upgrade(url: str, migrations: Path, *, on_step: Callable[[str], None] | None = None) -> None:
    """Apply all pending revisions in one transaction, after any other running upgrade.

    `on_step` receives a line for each applied revision, after the commit. Raises Unavailable,
    Timeout, and MigrationRefused if the user lacks a right, another session holds a lock, a newer
    version has migrated the database, or the database cannot be used.
    """
    steps: list[str] = []

    def note(*, step: MigrationInfo, **_: Any) -> None:
        if isinstance(step.up_revision, Script):
            steps.append(f"{step.up_revision.revision} {step.up_revision.doc}")

    private = engine.private_engine(url)
    try:
        with engine.translated(), private.begin() as connection:
            wait_for_others(connection, on_step)
            reason = _unusable(connection, migrations)
            if reason is not None:
                raise MigrationRefused(reason)
            left = pending(connection, migrations)
            if left:  # otherwise a node may be away
                placement.prepare_migration(connection)
            if len(left) > 1:
                _lock_all_tables(connection)
            config = _config(migrations)
            config.attributes |= {"connection": connection, "on_step": note}
            command.upgrade(config, "head")
            placement.add_new_tables(connection)
    except (Unavailable, Timeout) as error:
        refusal = explain(error, url)
        if refusal is None:
            raise
        raise refusal from error
    if on_step is not None:
        for step in steps:
            on_step(step)


def wait_for_others(connection: Connection, on_step: Callable[[str], None] | None) -> None:
    """Lock migrations until the transaction ends, and report a wait of more than two seconds."""
    notice_at = time.monotonic() + WAIT_NOTICE_SECONDS
    while not connection.scalar(text(f"SELECT pg_try_advisory_xact_lock({MIGRATION_LOCK})")):
        if on_step is not None and time.monotonic() > notice_at:
            on_step("Waiting for another migration to end")
            notice_at = float("inf")
        time.sleep(0.1)


def _lock_all_tables(connection: Connection) -> None:
    """Lock the tables that exist, because revisions keep their locks until all are applied.

    Otherwise the locks of one and those of the next, in another order than a request's, could
    deadlock with the request.
    """
    tables = [*connection.scalars(text(_EXISTING), {"tables": [*Base.metadata.tables]})]
    if tables:
        connection.exec_driver_sql(lock_tables(*tables))


def _unusable(connection: Connection, migrations: Path) -> str | None:
    """Return why the database cannot be migrated, or None."""
    reason = wrong_encoding(connection.scalar(text("SELECT current_setting('server_encoding')")))
    if reason is not None:
        return reason
    applied = MigrationContext.configure(connection).get_current_heads()
    if applied:
        return ahead_of(applied, migrations)
    if connection.scalar(text("SELECT current_setting('search_path')")) != session.SEARCH_PATH:
        return None  # the URL has chosen a schema
    # Earlier versions used the first schema of the search path that a role or database may define.
    other = connection.scalar(text(_OTHER_SCHEMA))
    if other is None:
        return None
    return (
        f"The tables are in the schema {other}: add ?options=-csearch_path%3D{other} to the"
        " database URL, or -csearch_path%3Dpublic to create others"
    )


def wrong_encoding(encoding: str) -> str | None:
    """Return why a database with this encoding cannot be used, or None for UTF-8."""
    if encoding == "UTF8":
        return None
    return (
        f"The database's encoding is {encoding}, which cannot store every text:"
        " create it with TEMPLATE template0 ENCODING 'UTF8'."
    )


def missing_from(applied: Sequence[str], migrations: Path) -> list[str]:
    """Return the revisions after `applied`; none if the database is ahead of this version."""
    revisions = _revisions(migrations)
    if not applied:
        return list(revisions)
    if ahead_of(applied, migrations) is not None:
        return []
    return list(revisions[1 + max(revisions.index(revision) for revision in applied) :])


def ahead_of(applied: Sequence[str], migrations: Path) -> str | None:
    """Return a sentence naming the `applied` revisions unknown to this version, or None."""
    unknown = [revision for revision in applied if revision not in _revisions(migrations)]
    if not unknown:
        return None
    return f"The schema is ahead of this version, which does not know {', '.join(unknown)}."


@cache
def _revisions(migrations: Path) -> tuple[str, ...]:
    """Return all revisions from the first to head. The history has no branches."""
    scripts = ScriptDirectory.from_config(_config(migrations))
    return tuple(script.revision for script in scripts.walk_revisions())[::-1]


def _config(migrations: Path) -> Config:
    config = Config()
    # Config interpolates % signs.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config
