"""Brings the database schema to the newest revision, and says which revisions are missing.

`migrations` is the folder with Alembic's env.py and versions.
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
from db.errors import SchemaAhead

MIGRATION_LOCK = 7236251904476921437
"""The number means nothing; it has to differ from those of other programs in the database."""
SECONDS_BEFORE_TELLING = 2


def head(migrations: Path) -> str:
    """The revision that this code is written for."""
    return _revisions(migrations)[-1]


def pending(database: Connection | str, migrations: Path) -> list[str]:
    """The revisions that are still to be applied, the next one first.

    None are where the database is ahead of this code. Raises Unavailable and Timeout.
    """
    if isinstance(database, Connection):
        return missing_from(MigrationContext.configure(database).get_current_heads(), migrations)
    private = engine.private_engine(database)
    with engine.translated(), private.connect() as connection:
        return pending(connection, migrations)


def upgrade(url: str, migrations: Path, *, on_step: Callable[[str], None] | None = None) -> None:
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
        ahead = ahead_of(MigrationContext.configure(connection).get_current_heads(), migrations)
        if ahead is not None:
            raise SchemaAhead(ahead)
        config = _config(migrations)
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


def missing_from(applied: Sequence[str], migrations: Path) -> list[str]:
    """The revisions after those `applied`; none if the database is ahead of this code."""
    revisions = _revisions(migrations)
    if not applied:
        return list(revisions)
    if ahead_of(applied, migrations) is not None:
        return []
    return list(revisions[1 + max(revisions.index(revision) for revision in applied) :])


def ahead_of(applied: Sequence[str], migrations: Path) -> str | None:
    """A sentence that names the `applied` revisions this code does not know, or None."""
    unknown = [revision for revision in applied if revision not in _revisions(migrations)]
    if not unknown:
        return None
    return f"The schema is ahead of this version, which does not know {', '.join(unknown)}."


@cache
def _revisions(migrations: Path) -> tuple[str, ...]:
    """All revisions from the first to head: there is one line of them, without branches."""
    scripts = ScriptDirectory.from_config(_config(migrations))
    return tuple(script.revision for script in scripts.walk_revisions())[::-1]


def _config(migrations: Path) -> Config:
    config = Config()
    # The % sign would be interpolated.
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config
