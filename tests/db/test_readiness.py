"""Tests of the readiness check: revisions, rights, encodings, schemas, trouble with databases."""

from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import errors, schema
from db.schema import readiness
from tests.silence import READY, Relay

UNREACHABLE = "postgresql://postgres@127.0.0.1:1/none"


def test_readiness_check_compares_schema_revisions(url: str, database_url: str) -> None:
    missing = ", ".join(schema.pending(url, migrations.FOLDER))
    assert (
        readiness.check(url, migrations.FOLDER)
        == f"The schema is behind this version: run agent-api migrate to apply {missing}."
    )
    assert readiness.check(database_url, migrations.FOLDER) is None

    schema.upgrade(url, migrations.FOLDER)
    set_revision(url, "9999")

    ahead = "The schema is ahead of this version, which does not know 9999."
    assert readiness.check(url, migrations.FOLDER) is None  # an old server keeps serving
    assert readiness.check(url, migrations.FOLDER, exact=True) == ahead
    assert schema.pending(url, migrations.FOLDER) == []
    with pytest.raises(errors.MigrationRefused, match=ahead):
        schema.upgrade(url, migrations.FOLDER)


def test_unreachable_database_is_reported(url: str) -> None:
    gone = make_url(url).set(database="gone").render_as_string(hide_password=False)

    assert readiness.check(UNREACHABLE, migrations.FOLDER) == "The database cannot be reached."
    assert readiness.check(gone, migrations.FOLDER) == "The database cannot be reached."
    with pytest.raises(errors.Unavailable):
        schema.pending(gone, migrations.FOLDER)
    with pytest.raises(errors.Unavailable):
        schema.upgrade(gone, migrations.FOLDER)


def test_readiness_check_does_not_wait_for_a_locked_table(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "READINESS_SECONDS", 0.3)
    with closing(psycopg2.connect(migrated_url)) as holder:
        holder.cursor().execute("LOCK TABLE alembic_version")

        assert (
            readiness.check(migrated_url, migrations.FOLDER)
            == "The database did not respond in time."
        )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DROP TABLE messages CASCADE", "agent_api_request cannot find messages."),
        ("ALTER TABLE runs RENAME output TO result", "agent_api_request cannot find runs.output"),
        ("REVOKE INSERT ON runs FROM agent_api_request", "GRANT INSERT ON runs TO"),
        ("REVOKE DELETE ON rate_limits FROM agent_api_request", "GRANT DELETE ON rate_limits TO"),
        ("REVOKE ALL ON messages FROM agent_api_request", "GRANT DELETE ON messages, INSERT ON"),
        ("REVOKE ALL ON messages FROM agent_api_existence", "GRANT SELECT ON messages TO"),
        (
            "REVOKE USAGE ON SCHEMA public FROM PUBLIC, agent_api_request",
            "agent_api_request cannot find change_positions.last_sequence, ",
        ),
    ],
)
def test_readiness_check_finds_what_requests_lack(
    migrated_url: str, change: str, reason: str
) -> None:
    run(migrated_url, change)

    found = readiness.check(migrated_url, migrations.FOLDER)
    assert found is not None
    assert reason in found


def test_readiness_check_ignores_a_lock_on_a_table(migrated_url: str) -> None:
    """A migration that locks a table for long must not make a proxy remove all servers."""
    with closing(psycopg2.connect(migrated_url)) as holder:
        holder.cursor().execute("LOCK TABLE messages, conversations")

        assert readiness.check(migrated_url, migrations.FOLDER) is None


def test_readiness_check_ends_outside_a_transaction(database_url: str) -> None:
    """Otherwise PgBouncer closes its connection to PostgreSQL after each check."""
    with Relay(database_url) as relay:
        assert readiness.check(relay.url, migrations.FOLDER) is None

    (response,) = relay.last_responses
    assert response.endswith(READY)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_database_with_another_encoding_is_refused(
    new_database: Callable[..., str], encoding: str
) -> None:
    url = new_database(f"TEMPLATE template0 ENCODING '{encoding}' LOCALE_PROVIDER libc LOCALE 'C'")

    with pytest.raises(errors.MigrationRefused, match=f"{encoding}.*ENCODING 'UTF8'"):
        schema.upgrade(url, migrations.FOLDER)

    assert f"encoding is {encoding}" in str(readiness.check(url, migrations.FOLDER))


def test_tables_in_another_schema_are_found_through_the_url(url: str) -> None:
    """Version 1.0 created them in the first schema of the user's search path."""
    run(url, "CREATE SCHEMA app")
    there = url + ("&" if "?" in url else "?") + "options=-csearch_path%3Dapp"
    schema.upgrade(there, migrations.FOLDER)

    with pytest.raises(errors.MigrationRefused, match="options=-csearch_path%3Dapp"):
        schema.upgrade(url, migrations.FOLDER)

    assert readiness.check(there, migrations.FOLDER) is None
    assert "behind" in str(readiness.check(url, migrations.FOLDER))


def test_url_with_a_search_path_may_name_a_second_schema(url: str) -> None:
    run(url, "CREATE SCHEMA first; CREATE SCHEMA second")
    begin = url + ("&" if "?" in url else "?") + "options=-csearch_path%3D"

    for name in ("first", "second", "public"):
        schema.upgrade(begin + name, migrations.FOLDER)

        assert readiness.check(begin + name, migrations.FOLDER) is None


def test_migration_into_a_missing_schema_says_what_to_do(url: str) -> None:
    there = url + ("&" if "?" in url else "?") + "options=-csearch_path%3Dmissing"

    with pytest.raises(errors.MigrationRefused, match=r"CREATE SCHEMA.*options=-csearch_path"):
        schema.upgrade(there, migrations.FOLDER)


def set_revision(url: str, revision: str) -> None:
    run(url, "UPDATE alembic_version SET version_num = %s", revision)


def run(url: str, statement: str, *values: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, values)
