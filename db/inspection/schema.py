"""Reads how far the schema of a database is, and what requests lack in it."""

from functools import partial
from pathlib import Path
from typing import NamedTuple

from db.engine import roles
from db.engine.connections.connection import Connection
from db.inspection.probe import query, query_as_request
from db.models import Base
from db.schema import MIGRATION_LOCK, ahead_of, head, missing_from, requirements

_REVISIONS = """
SELECT CASE WHEN to_regclass('alembic_version') IS NULL THEN NULL
  ELSE has_table_privilege(to_regclass('alembic_version'), 'SELECT') END
"""
_MIGRATING = """
SELECT count(*)::int FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32 | objid::bigint) = %(key)s
"""
_UNFINISHED = """
SELECT format('index %%s is invalid', c.oid::regclass)
FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
WHERE NOT indisvalid AND indrelid IN (SELECT to_regclass(name) FROM unnest(%(tables)s) AS name)
UNION ALL
SELECT format('constraint %%I of %%s is not validated', conname, conrelid::regclass)
FROM pg_constraint
WHERE NOT convalidated AND conrelid IN (SELECT to_regclass(name) FROM unnest(%(tables)s) AS name)
ORDER BY 1
"""
_UNSEARCHABLE = """
SELECT count(*)::int FROM (
  SELECT 1 FROM conversations WHERE indexed_position < last_position LIMIT 1001
) AS behind
"""


class Progress(NamedTuple):
    """How far the schema is."""

    head: str
    missing: list[str]
    """The revisions to apply, in order."""
    ahead: str | None
    """A sentence about revisions that this version does not know."""
    is_migrating: bool
    """Whether another session is migrating the database at the moment."""
    unfinished: list[str]
    """What a migration that was executed by hand has left incomplete."""


def progress(connection: Connection, migrations: Path) -> Progress | None:
    """Return how far the schema is; None if the user may not read the revision.

    Raises Unavailable and Timeout.
    """
    ((may_read,),) = query_as_request(connection, _REVISIONS)
    if may_read is False:
        return None
    applied = []
    if may_read:
        rows = query_as_request(connection, "SELECT version_num FROM alembic_version")
        applied = [revision for (revision,) in rows]
    ((sessions,),) = query(connection, _MIGRATING, {"key": MIGRATION_LOCK})
    unfinished = query_as_request(connection, _UNFINISHED, {"tables": [*Base.metadata.tables]})
    return Progress(
        head(migrations),
        missing_from(applied, migrations),
        ahead_of(applied, migrations),
        bool(sessions),
        [text for (text,) in unfinished],
    )


def unusable_roles(connection: Connection) -> tuple[list[str], list[str]]:
    """Return which roles of requests do not exist, and which of the others the user may not use.

    Raises Unavailable and Timeout.
    """
    names = {"names": list(roles.ALL)}
    known = "SELECT rolname FROM pg_roles WHERE rolname = ANY (%(names)s)"
    existing = {name for (name,) in query(connection, known, names)}
    usable = {name for (name,) in query(connection, roles.USABLE)}
    missing = [name for name in roles.ALL if name not in existing]
    return missing, [name for name in roles.ALL if name in existing - usable]


def unmet(connection: Connection) -> str | None:
    """Return what a role of requests lacks in the tables, or None. It needs the current schema.

    Raises Unavailable and Timeout.
    """
    return requirements.unmet(partial(query_as_request, connection))


def conversations_behind(connection: Connection) -> int:
    """Return how many conversations search does not find completely, at most 1001.

    Raises Unavailable and Timeout.
    """
    as_reader = f"SET LOCAL ROLE {roles.EXISTENCE};\n"
    ((count,),) = query_as_request(connection, as_reader + _UNSEARCHABLE)
    return int(count)
