"""The schema: its encoding, and migrations that are missing, unknown, running or unfinished."""

from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest

import migrations
from db import schema
from tests.doctor.examining import examine, execute
from tests.test_migrate import migrate_to

pytestmark = pytest.mark.process

# Raises what Citus raises for a statement of a node that does not answer.
_LOST = """
CREATE FUNCTION lost() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  RAISE 'connection to the remote node u@worker-1:5432 failed with the following error: %',
    'Connection refused' USING ERRCODE = 'connection_failure';
END $$
"""


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_encoding_and_missing_migrations_are_errors(
    new_database: Callable[..., str], encoding: str
) -> None:
    url = new_database(f"TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'")

    report = examine(database_url=url)

    assert report["database-encoding"]["level"] == "error"
    assert f"encoding is {encoding}" in report["database-encoding"]["found"]
    assert report["migrations"]["level"] == "error"
    assert report["migrations"]["advice"] == "Run agent-api migrate."


def test_missing_and_unknown_migrations_are_counted(new_database: Callable[..., str]) -> None:
    url = new_database()
    migrate_to("0003", url)
    behind = examine(database_url=url)["migrations"]
    missing = schema.pending(url, migrations.FOLDER)
    schema.upgrade(url, migrations.FOLDER)
    execute(url, "UPDATE alembic_version SET version_num = '9999'")
    ahead = examine(database_url=url)

    assert behind["found"] == f"{len(missing)} migrations to apply: {', '.join(missing)}"
    assert ahead["migrations"]["level"] == "warning"
    assert "does not know 9999" in ahead["migrations"]["found"]
    assert ahead["rights"]["level"] == "ok"
    assert ahead.code == 0


def test_running_and_unfinished_migrations_are_found(
    new_migrated_database: Callable[[], str],
) -> None:
    url = new_migrated_database()
    execute(
        url,
        "ALTER TABLE runs ADD CONSTRAINT half CHECK (attempts >= 0) NOT VALID",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'pk_runs'::regclass",
    )
    with closing(psycopg2.connect(url)) as migrating:
        migrating.cursor().execute(f"SELECT pg_advisory_xact_lock({schema.MIGRATION_LOCK})")
        report = examine(database_url=url)

    found = [each["found"] for each in report.findings if each["name"] == "migrations"]
    assert found == [
        "Another session is migrating the database",
        "The constraint half of runs is not validated",
        "The index pk_runs is invalid",
    ]


def test_lost_node_of_a_distributed_database_is_found(new_database: Callable[..., str]) -> None:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    execute(
        url,
        "INSERT INTO conversations (title, user_id, last_position) VALUES ('t', 'u', 1)",
        _LOST,
        "ALTER POLICY existence ON conversations USING (lost())",
    )

    report = examine(database_url=url)

    assert report["migrations"]["level"] == report["rights"]["level"] == "ok"
    assert report["search"]["level"] == "error"
    assert "remote node u@worker-1:5432 failed" in report["search"]["found"]
    assert report["search"]["advice"] == "Start PostgreSQL on this node, and look at its log."
