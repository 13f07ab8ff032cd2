"""Tests of migrations while a node of Citus is away, on a PostgreSQL without Citus.

Tables and functions named as those of Citus stand for its metadata, and for a node that is down.
"""

from collections.abc import Callable

import pytest

import migrations
from db import engine, schema
from db.engine import roles, shards
from db.errors import MigrationRefused
from db.models import OWNERS

_METADATA = """
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition AS
  SELECT c.oid::regclass AS logicalrelid, owner AS partkey, 1 AS colocationid
  FROM pg_class AS c JOIN (VALUES {}) AS owned(name, owner) ON c.oid = to_regclass(name);
CREATE TABLE pg_dist_node AS
  SELECT 1 AS nodeid, 'worker-1' AS nodename, 5432 AS nodeport, true AS isactive,
    true AS shouldhaveshards;
CREATE FUNCTION column_to_column_name(regclass, text) RETURNS text RETURN $2;
CREATE FUNCTION run_command_on_all_nodes(text, OUT nodeid int, OUT success bool, OUT result text)
  RETURNS SETOF record BEGIN ATOMIC
  SELECT 1, false, 'failed to connect to worker-1:5432'; END;
""".format(", ".join(f"('{name}', '{owner.name}')" for name, owner in OWNERS.items()))


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    """The URL of a migrated database that seems to be distributed over a node that is down."""
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    with engine.private_engine(url).begin() as connection:
        connection.exec_driver_sql(_METADATA)
        for role in (roles.REQUEST, *shards.FUNCTIONS):
            connection.exec_driver_sql(shards.create_function(role))
    return url


def test_migrate_has_nothing_to_do_while_a_node_is_down(url: str) -> None:
    schema.upgrade(url, migrations.FOLDER)

    assert schema.pending(url, migrations.FOLDER) == []


def test_migrate_names_the_node_that_is_down(url: str) -> None:
    with engine.private_engine(url).begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0015'")

    with pytest.raises(MigrationRefused) as refusal:
        schema.upgrade(url, migrations.FOLDER)

    expected = "The node worker-1:5432 cannot be asked: failed to connect to worker-1:5432"
    assert str(refusal.value) == expected
