"""Tests of database users without superuser rights: migrating, serving, and the hints they get."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import embedded, engine, errors, schema
from db.conversations import conversations
from db.engine import roles
from db.schema import readiness
from tests.db.rows import insert_conversation
from tests.processes import wait_until

ALL = ", ".join(roles.ALL)


@contextmanager
def new_user(url: str, *rights: str, owns: bool) -> Iterator[tuple[str, str]]:
    """Create a user; yield its name and its URL of the same database."""
    address = make_url(url)
    name = f"Test {uuid.uuid4().hex}"
    run_sql(url, f"CREATE ROLE \"{name}\" LOGIN {' '.join(rights)} PASSWORD 'pass'")
    if owns:
        run_sql(url, f'ALTER DATABASE "{address.database}" OWNER TO "{name}"')
    own = address.set(username=name, password="pass")
    yield name, own.render_as_string(hide_password=False).replace(" ", "%20")
    run_sql(url, f'REASSIGN OWNED BY "{name}" TO CURRENT_USER')
    run_sql(url, f'DROP OWNED BY "{name}"')
    run_sql(url, f'DROP ROLE "{name}"')


def run_sql(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def serve(url: str) -> str:
    """Store and read a conversation like the server does; return its title."""
    engine.configure(url, pool_size=1, statement_timeout_ms=5000)
    try:
        with engine.autocommit() as connection:
            made = insert_conversation(connection, "alice", title="Hers")
            found = conversations.select_one(connection, conversation_id=made, user_id="alice")
            with pytest.raises(errors.Denied):
                conversations.select_one(connection, conversation_id=made, user_id="bob")
    finally:
        engine.dispose()
    return str(json.loads(found)["title"])


def hint_of(raised: pytest.ExceptionInfo[errors.MigrationRefused]) -> str:
    """Return the statements that the error tells an administrator to run."""
    line = str(raised.value)
    found = re.fullmatch(
        r"Nothing was changed: An administrator has to run, once for this PostgreSQL: (.*)", line
    )
    assert found is not None, line
    return found[1]


def test_upgrade_names_the_grants_that_the_user_lacks(
    new_database: Callable[[], str], database_url: str
) -> None:
    url = (
        new_database()
    )  # on a server that already has the roles, because another database is migrated
    with new_user(url, owns=True) as (name, own):
        with pytest.raises(errors.MigrationRefused) as raised:
            schema.upgrade(own, migrations.FOLDER)
        left = schema.pending(own, migrations.FOLDER)
        run_sql(url, hint_of(raised))
        schema.upgrade(own, migrations.FOLDER)

        assert left[0] == "0001"  # all or nothing
        assert hint_of(raised) == f'GRANT {ALL} TO "{name}";'
        assert readiness.check(own, migrations.FOLDER) is None
        assert serve(own) == "Hers"

        run_sql(url, f'REVOKE {roles.EXISTENCE} FROM "{name}"')
        assert readiness.check(own, migrations.FOLDER) == (
            f"The server's database user lacks a right: run GRANT {roles.EXISTENCE} TO that user."
        )


def test_user_other_than_the_owner_serves_with_three_grants(
    new_migrated_database: Callable[[], str],
) -> None:
    url = new_migrated_database()
    with new_user(url, owns=False) as (name, own):
        hints = []
        for _ in range(2):
            reason = readiness.check(own, migrations.FOLDER) or ""
            hints.append(reason)
            right = re.fullmatch(r".* lacks a right: run (GRANT .*) TO that user\.", reason)
            assert right is not None, reason
            run_sql(url, f'{right[1]} TO "{name}"')

        assert "GRANT SELECT ON alembic_version TO that user." in hints[0]
        assert f"GRANT {ALL} TO that user." in hints[1]
        assert readiness.check(own, migrations.FOLDER) is None
        assert serve(own) == "Hers"


@pytest.mark.process
def test_upgrade_on_a_new_server_creates_roles_or_names_the_statements() -> None:
    with TemporaryDirectory(prefix="agent-api-test-") as folder:
        # When root starts PostgreSQL, its account must be able to enter the folder.
        Path(folder).chmod(0o711)
        server = embedded.attach(Path(folder), durable=False)
        try:
            with new_user(server.url, owns=True) as (name, own):
                with pytest.raises(errors.MigrationRefused) as raised:
                    schema.upgrade(own, migrations.FOLDER)
                assert hint_of(raised) == (
                    "".join(f"CREATE ROLE {role} NOLOGIN; " for role in roles.ALL)
                    + f'GRANT {ALL} TO "{name}";'
                )
            with new_user(server.url, "CREATEROLE", owns=True) as (_, own):
                schema.upgrade(own, migrations.FOLDER)
                assert readiness.check(own, migrations.FOLDER) is None
                assert serve(own) == "Hers"
        finally:
            server.close()
            wait_until(lambda: embedded.is_stopped(Path(folder)))
