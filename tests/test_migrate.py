"""`agent-api migrate` changes everything or nothing, and says what an operator must do."""

import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import make_url

import migrations
from db import embedded, engine, schema
from db.engine import roles
from tests.commands import refusal
from tests.processes import wait_until
from tests.servers import agent_api, clean_environment
from tests.servers import command as app_command

pytestmark = pytest.mark.process


def execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        connection.cursor().execute(statement)


def migrate_to(revision: str, url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    with engine.private_engine(url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def values(url: str, question: str) -> list[str]:
    """Return the first column of the answer."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(question)
        return [row[0] for row in cursor.fetchall()]


@pytest.fixture
def user(new_database: Callable[[], str]) -> Iterator[tuple[str, str]]:
    """The superuser's and an ordinary user's URL of a new database."""
    url = new_database()
    name = f"Test {uuid.uuid4().hex}"
    execute(url, f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'pass'")
    yield (
        url,
        make_url(url)
        .set(username=name, password="pass")
        .render_as_string(hide_password=False)
        .replace(" ", "%20"),
    )
    execute(url, f'REASSIGN OWNED BY "{name}" TO CURRENT_USER')
    execute(url, f'DROP OWNED BY "{name}"; DROP ROLE "{name}"')


def statements(line: str) -> list[str]:
    """Return the statements that the message tells an administrator to run."""
    found = re.fullmatch(r"agent-api: Nothing was changed: .* must run: (.*)", line)
    assert found is not None, line
    return [f"{each};" for each in found[1].rstrip(";").split("; ")]


def test_migrate_needs_no_key_although_the_server_would(new_database: Callable[[], str]) -> None:
    """Containers set the host for all commands, and a migration job has no key."""
    migrated = agent_api("migrate", database_url=new_database(), host="0.0.0.0")

    assert (migrated.returncode, migrated.stderr.count("requires a key")) == (0, 0)


def test_migrate_check_does_not_create_a_dropped_database(data_dir: Path) -> None:
    with closing(embedded.attach(data_dir)) as server:
        maintenance = server.url.replace("/agent_api?", "/postgres?")
        execute(maintenance, "DROP DATABASE agent_api")

        result = agent_api("migrate", "--check", data_dir=str(data_dir))

        assert f"The database in {data_dir} does not exist yet" in refusal(result, code=1)
        assert "agent_api" not in values(maintenance, "SELECT datname FROM pg_database")
        assert agent_api("migrate", data_dir=str(data_dir)).returncode == 0
        assert "agent_api" in values(maintenance, "SELECT datname FROM pg_database")


def test_migrate_check_creates_no_tables(data_dir: Path) -> None:
    with closing(embedded.attach(data_dir)) as server:
        result = agent_api("migrate", "--check", data_dir=str(data_dir))

        assert "The schema is behind this version" in refusal(result, code=1)
        assert values(server.url, "SELECT relname FROM pg_class WHERE relname ~ 'alembic'") == []


def test_migrate_names_the_missing_right_on_the_schema(user: tuple[str, str]) -> None:
    url, own = user
    execute(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")

    line = refusal(agent_api("migrate", database_url=own), code=1)  # no step is printed
    for statement in statements(line):
        execute(url, statement)
    after = agent_api("migrate", database_url=own)

    name = make_url(own).username
    assert "permission denied for schema public" in line
    assert statements(line) == [f'GRANT USAGE, CREATE ON SCHEMA public TO "{name}";']
    assert "permission denied for schema public" not in after.stderr


@pytest.mark.usefixtures("database_url")  # whose migration has created the roles
def test_migrate_names_the_tables_of_another_owner(user: tuple[str, str]) -> None:
    """The first migrations were run as the superuser, the next ones are run as the user."""
    url, own = user
    migrate_to("0003", url)
    execute(url, f'GRANT {", ".join(roles.ALL)} TO "{make_url(own).username}"')

    line = refusal(agent_api("migrate", database_url=own), code=1)
    left = schema.pending(url, migrations.FOLDER)
    for statement in statements(line):
        execute(url, statement)
    after = agent_api("migrate", database_url=own)

    assert left[0] == "0004"
    assert "ALTER TABLE messages OWNER TO" in line
    assert "ALTER TYPE run_status OWNER TO" in line
    assert after.returncode == 0, after.stderr
    assert after.stderr.startswith("0004 ")


def test_migrate_prints_no_step_that_was_rolled_back(user: tuple[str, str]) -> None:
    """The user may create tables, but no roles, so the fourth step fails after three."""
    url, own = user
    execute(url, f'ALTER DATABASE "{make_url(url).database}" OWNER TO "{make_url(own).username}"')

    line = refusal(agent_api("migrate", database_url=own), code=1)

    assert "An administrator has to run, once for this PostgreSQL" in line
    assert f"GRANT {', '.join(roles.ALL)} TO" in line
    assert schema.pending(url, migrations.FOLDER)[0] == "0001"


@pytest.mark.slow  # waits for the lock_timeout of 5 s
def test_migrate_that_gets_no_lock_says_so(new_database: Callable[[], str]) -> None:
    url = new_database()
    migrate_to("0003", url)
    with closing(psycopg2.connect(url)) as holder:
        holder.cursor().execute("SELECT FROM runs")
        line = refusal(agent_api("migrate", database_url=url), code=1)
    again = agent_api("migrate", database_url=url)

    assert line == (
        "agent-api: Nothing was changed: another session held a lock for more than 5 s."
        " Run the command again, or look for long transactions in pg_stat_activity"
    )
    assert again.returncode == 0
    assert again.stderr.startswith("0004 ")


def test_migrate_that_is_cancelled_says_so(new_database: Callable[[], str]) -> None:
    url = new_database()
    migrate_to("0003", url)
    with closing(psycopg2.connect(url)) as holder, holder.cursor() as cursor:
        cursor.execute("SELECT FROM runs")
        migrating = subprocess.Popen(
            app_command("migrate"),
            env=clean_environment(database_url=url),
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname ="
        waiting += f" '{make_url(url).database}'"
        wait_until(lambda: bool(values(url, waiting)))
        execute(url, waiting.replace("SELECT pid", "SELECT pg_cancel_backend(pid)"))
        _, said = migrating.communicate(timeout=30)

    assert migrating.returncode == 1
    assert said == ("agent-api: Nothing was changed: canceling statement due to user request\n")
