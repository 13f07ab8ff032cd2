"""Tests of the readiness check: schema revisions, unreachable databases and locked tables."""

from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import errors, schema
from db.schema import readiness

UNREACHABLE = "postgresql://postgres@127.0.0.1:1/none"


def test_readiness_check_compares_schema_revisions(url: str, database_url: str) -> None:
    missing = ", ".join(schema.pending(url, migrations.FOLDER))
    assert (
        readiness.check(url, migrations.FOLDER)
        == f"The schema is behind this version: {missing} not applied yet."
    )
    assert readiness.check(database_url, migrations.FOLDER) is None

    schema.upgrade(url, migrations.FOLDER)
    set_revision(url, "9999")

    ahead = "The schema is ahead of this version, which does not know 9999."
    assert readiness.check(url, migrations.FOLDER) is None  # an old server keeps serving
    assert readiness.check(url, migrations.FOLDER, exact=True) == ahead
    assert schema.pending(url, migrations.FOLDER) == []
    with pytest.raises(errors.SchemaAhead, match=ahead):
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
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "READINESS_SECONDS", 0.3)
    schema.upgrade(url, migrations.FOLDER)
    with closing(psycopg2.connect(url)) as holder:
        holder.cursor().execute("LOCK TABLE alembic_version")

        assert readiness.check(url, migrations.FOLDER) == "The database did not respond in time."


def set_revision(url: str, revision: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("UPDATE alembic_version SET version_num = %s", (revision,))
