"""Finds and executes the statements that distribute the tables by their rows' owner."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, text

from db.engine import roles, shards
from db.errors import MigrationRefused
from db.models import OWNERS, conversations
from db.schema.nodes import lacking_role

TABLES = [conversations.name, *(name for name in OWNERS if name != conversations.name)]
"""All tables; the first one is distributed first, and the others together with it."""

# What only servers from before revision 0005 need, and what Citus refuses: triggers and SET NULL.
# It also cannot move shards of an unlogged table to another node.
_OBSTACLES = """
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
UNION ALL
SELECT 'ALTER TABLE rate_limits SET LOGGED' FROM pg_class
WHERE oid = to_regclass('rate_limits') AND relpersistence = 'u'
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
# Otherwise Citus refuses some statements after others, such as CREATE FUNCTION after ALTER TABLE.
_ONE_CONNECTION = "SET LOCAL citus.multi_shard_modify_mode = 'sequential'"
_HAS_CITUS = "SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL"


def prepare_migration(connection: Connection) -> None:
    """Use one connection to each node, if the tables are distributed.

    Raises MigrationRefused if a node is away, or if it lacks a role, because the migration could
    not let the role log in.
    """
    if _is_distributed(connection):
        reason = lacking_role(connection)
        if reason is not None:
            raise MigrationRefused(reason)
        connection.exec_driver_sql(_ONE_CONNECTION)


def add_new_tables(connection: Connection) -> None:
    """Distribute the tables that a migration has created, if the others are distributed."""
    if _is_distributed(connection):
        connection.exec_driver_sql(_ONE_CONNECTION)
        for step in steps(connection):
            connection.exec_driver_sql(step)


def _is_distributed(connection: Connection) -> bool:
    # A dump restored without Citus has the function that marks a distributed database.
    return bool(_scalar(connection, _HAS_CITUS) and _scalar(connection, shards.IS_DISTRIBUTED))


def steps(connection: Connection) -> Iterator[str]:
    """Yield the statements still to be executed. Raises MigrationRefused for a wrong table."""
    for (statement,) in _rows(connection, _OBSTACLES):
        yield statement
    for role in (roles.REQUEST, *shards.FUNCTIONS):
        if _scalar(connection, shards.is_missing(role)):
            yield shards.create_function(role)
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
