"""A database user who is no superuser: what it can migrate, what it is told, and that it serves."""

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
from db import conversations, embedded, engine, errors, schema
from db.engine import roles
from db.schema import readiness
from tests.db.rows import insert_conversation

BOTH = ", ".join(roles.ALL)


@contextmanager
def new_user(url: str, *rights: str, owns: bool) -> Iterator[tuple[str, str]]:
    """A user's name, and the URL with which it uses the database of `url`; gone afterwards."""
    address = make_url(url)
    name = f"Test {uuid.uuid4().hex}"
    run_sql(url, f"CREATE ROLE \"{name}\" LOGIN {' '.join(rights)} PASSWORD 'pass'")
    if owns:
        run_sql(url, f'ALTER DATABASE "{address.database}" OWNER TO "{name}"')
    own = address.set(username=name, password="pass")
    yield name, own.render_as_string(hide_password=False)
    run_sql(url, f'REASSIGN OWNED BY "{name}" TO CURRENT_USER')
    run_sql(url, f'DROP OWNED BY "{name}"')
    # What only it has granted goes with it.
    run_sql(url, f'DROP ROLE "{name}"')


def run_sql(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def serve(url: str) -> str:
    """Store and read a conversation as the server would; return its title."""
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


def help_of(raised: pytest.ExceptionInfo[errors.Unavailable]) -> str:
    """The statements that an error says an administrator has to run."""
    told = str(getattr(raised.value.__cause__, "orig", None)).partition("\n")[0]
    found = re.fullmatch(r"An administrator has to run, once for this PostgreSQL: (.*)", told)
    assert found is not None, told
    return found[1]


def test_a_user_who_may_not_act_as_the_roles_is_told_what_to_have_granted(
    new_database: Callable[[], str], database_url: str
) -> None:
    url = new_database()  # on a server that has the roles: another database is migrated there
    with new_user(url, owns=True) as (name, own):
        with pytest.raises(errors.Unavailable) as raised:
            schema.upgrade(own, migrations.FOLDER)
        left = schema.pending(own, migrations.FOLDER)
        run_sql(url, help_of(raised))
        schema.upgrade(own, migrations.FOLDER)

        assert left[0] == "0001"  # all or nothing
        assert help_of(raised) == f'GRANT {BOTH} TO "{name}";'
        assert readiness.check(own, migrations.FOLDER) is None
        assert serve(own) == "Hers"

        run_sql(url, f'REVOKE {roles.EXISTENCE} FROM "{name}"')
        assert readiness.check(own, migrations.FOLDER) == (
            f"The server's database user lacks a right: GRANT {roles.EXISTENCE} TO it."
        )


def test_a_user_who_did_not_migrate_serves_with_three_grants(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    with new_user(url, owns=False) as (name, own):
        told = []
        for _ in range(2):
            reason = readiness.check(own, migrations.FOLDER) or ""
            told.append(reason)
            right = re.fullmatch(r".* lacks a right: (GRANT .*) TO it\.", reason)
            assert right is not None, reason
            run_sql(url, f'{right[1]} TO "{name}"')

        assert "GRANT SELECT ON alembic_version TO it." in told[0]
        assert f"GRANT {BOTH} TO it." in told[1]
        assert readiness.check(own, migrations.FOLDER) is None
        assert serve(own) == "Hers"


def test_on_a_new_server_who_may_make_roles_needs_nobody_and_others_are_told() -> None:
    with TemporaryDirectory(prefix="agent-api-test-") as folder:
        # The account that runs PostgreSQL for root cannot enter it otherwise.
        Path(folder).chmod(0o711)
        server = embedded.attach(Path(folder), durable=False)
        try:
            with new_user(server.url, owns=True) as (name, own):
                with pytest.raises(errors.Unavailable) as raised:
                    schema.upgrade(own, migrations.FOLDER)
                assert help_of(raised) == (
                    "CREATE ROLE agent_api_request NOLOGIN; CREATE ROLE agent_api_existence"
                    f' NOLOGIN; GRANT {BOTH} TO "{name}";'
                )
            with new_user(server.url, "CREATEROLE", owns=True) as (_, own):
                schema.upgrade(own, migrations.FOLDER)
                assert readiness.check(own, migrations.FOLDER) is None
                assert serve(own) == "Hers"
        finally:
            server.close()
