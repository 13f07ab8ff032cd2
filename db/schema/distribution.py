"""Distributes the tables over the nodes of Citus by their rows' owner."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from db import engine, schema
from db.engine import shards
from db.errors import MigrationRefused
from db.models import OWNERS, conversations
from db.schema.nodes import obstacle

TABLES = [conversations.name, *(name for name in OWNERS if name != conversations.name)]
"""All tables; the first one is distributed first, and the others together with it."""

_LEFTOVERS = """
SELECT 'DROP TRIGGER own_message ON messages' WHERE EXISTS (
  SELECT FROM pg_trigger WHERE tgname = 'own_message' AND tgrelid = to_regclass('messages'))
UNION ALL
SELECT 'DROP FUNCTION own_message' WHERE to_regprocedure('own_message()') IS NOT NULL
UNION ALL
SELECT 'ALTER TABLE runs DROP CONSTRAINT fk_runs_conversation_id,'
  ' ADD CONSTRAINT fk_runs_conversation_id FOREIGN KEY (conversation_id, created_by)'
  ' REFERENCES conversations (id, user_id)' WHERE EXISTS (
  SELECT FROM pg_constraint
  WHERE conname = 'fk_runs_conversation_id' AND conrelid = to_regclass('runs')
    AND confdeltype = 'n')
"""
# `place` numbers the groups of tables whose shards are together.
_DISTRIBUTED = """
SELECT relname, column_to_column_name(logicalrelid, partkey) AS owner, colocationid AS place
FROM pg_dist_partition JOIN pg_class ON oid = logicalrelid
WHERE logicalrelid = ANY (SELECT to_regclass(name) FROM unnest(:tables) AS name)
"""
# The rows that a table had before it was distributed; they have been copied to the shards.
_COPIED = """
SELECT format('SELECT truncate_local_data_after_distributing_table(%L)', name)
FROM unnest(:tables) AS name JOIN pg_dist_partition ON logicalrelid = to_regclass(name)
WHERE pg_relation_size(to_regclass(name)) > 0
"""
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
        return list(_steps(connection))


def distribute(url: str, migrations: Path, *, on_step: Callable[[str], None]) -> None:
    """Distribute all tables that are not distributed yet, in one transaction.

    Waits for running migrations. `on_step` receives each statement before it is executed. Raises
    Unavailable, Timeout, and MigrationRefused if something is missing or servers are connected.
    """
    with engine.translated(), engine.private_engine(url).begin() as connection:
        schema.wait_for_others(connection, on_step)
        _refuse_unready(connection, migrations)
        steps = list(_steps(connection))
        if not steps:
            return
        others = _scalar(connection, _OTHER_SESSIONS)
        if others:
            raise MigrationRefused(
                f"{others} other sessions use the database: stop all servers and poolers first,"
                " because a running server would not find the distributed rows"
            )
        for _ in range(2):  # the second round frees the space of the rows that were copied
            for step in steps:
                on_step(step.partition("\n")[0])
                connection.exec_driver_sql(step)
            steps = list(_steps(connection))
        if steps:
            raise MigrationRefused(f"Nothing was changed: this had no effect: {steps[0]}")


def add_table(connection: Connection, name: str, owner: str) -> None:
    """Distribute a new table if the others are distributed; migrations call this.

    The table must not have foreign keys yet: add them afterwards.
    """
    if _scalar(connection, shards.IS_DISTRIBUTED):
        connection.exec_driver_sql(_distribute(name, owner))


def _refuse_unready(connection: Connection, migrations: Path) -> None:
    missing = schema.pending(connection, migrations)
    if missing:
        raise MigrationRefused(
            f"The schema is behind this version: run agent-api migrate to apply {missing[0]}"
        )
    reason = obstacle(connection)
    if reason is not None:
        raise MigrationRefused(reason)


def _steps(connection: Connection) -> Iterator[str]:
    """Yield the statements still to be executed. Raises MigrationRefused for a wrong table."""
    for (statement,) in _rows(connection, _LEFTOVERS):
        yield statement
    if not _scalar(connection, shards.IS_DISTRIBUTED):
        yield shards.CREATE_FUNCTION
    found = {row.relname: row for row in _rows(connection, _DISTRIBUTED)}
    places = {row.place for row in found.values()}
    for name in TABLES:
        row = found.get(name)
        if row is None:
            yield _distribute(name, OWNERS[name].name)
        elif row.owner != OWNERS[name].name or len(places) > 1:
            raise MigrationRefused(
                f"{name} is distributed by {row.owner} or apart from other tables: run"
                f" SELECT undistribute_table('{name}', cascade_via_foreign_keys => true); and retry"
            )
    for (statement,) in _rows(connection, _COPIED):
        yield statement


def _distribute(name: str, owner: str) -> str:
    together = "none" if name == TABLES[0] else TABLES[0]
    return f"SELECT create_distributed_table('{name}', '{owner}', colocate_with => '{together}')"


def _rows(connection: Connection, sql: str) -> list[Any]:
    return list(connection.execute(text(sql), {"tables": TABLES} if ":tables" in sql else {}))


def _scalar(connection: Connection, sql: str) -> Any:
    return connection.scalar(text(sql))
