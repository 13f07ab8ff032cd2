"""The database: reaching it, its version and settings, roles, rights and migrations."""

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import make_url

import migrations
from db import schema
from db.engine import roles
from tests.doctor.examining import examine, execute, parse
from tests.failover.postgres import new_servers
from tests.processes import wait_until
from tests.servers import SECRET, clean_environment, free_port
from tests.silence import Relay
from tests.test_migrate import migrate_to

pytestmark = pytest.mark.process

ABOUT_DATABASE = {
    *("database", "database-encoding", "database-durability", "database-time-zone", "pooler"),
    *("database-connections", "database-timeouts", "clock", "roles", "migrations", "rights"),
    "search",
}


def show(url: str, setting: str) -> str:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"SHOW {setting}")
        ((value,),) = cursor.fetchall()
    return str(value)


def test_good_database_has_no_errors_and_all_findings(owner_url: str) -> None:
    report = examine(database_url=owner_url, jwt_secret=SECRET)

    url = make_url(owner_url)
    assert report.code == 0
    assert report.named("ok") | {"database-durability"} >= ABOUT_DATABASE
    if show(owner_url, "fsync") == "off":  # the tests' own server is fast instead of durable
        assert report["database-durability"]["level"] == "warning"
    assert f"{url.database} on " in report["database"]["found"]
    assert report["database"]["found"].endswith(f", as {url.username}")


def test_superuser_is_a_warning(database_url: str) -> None:
    report = examine(database_url=database_url, jwt_secret=SECRET)

    assert report["database"]["level"] == "warning"
    assert "is a superuser" in report["database"]["found"]


@pytest.mark.parametrize(
    ("change", "found", "advice"),
    [
        ({"host": "127.0.0.1", "port": "free"}, "Connection refused", "Start PostgreSQL"),
        ({"database": "gone"}, 'database "gone" does not exist', "Create the database"),
        ({"username": "nobody_here"}, 'role "nobody_here" does not exist', "Create the database"),
        ({"host": "no-such-host.invalid"}, "could not translate host name", "Correct the host"),
    ],
    ids=["refused", "database", "user", "host"],
)
def test_database_that_cannot_be_reached_is_explained(
    change: dict[str, str], found: str, advice: str, owner_url: str
) -> None:
    changes = {**change, "port": free_port()} if "port" in change else change
    url = make_url(owner_url)
    if "host" in change:
        url = url.set(query={})
    report = examine(
        database_url=url.set(**changes).render_as_string(hide_password=False), jwt_secret=SECRET
    )

    assert report.code == 1
    assert report["database"]["level"] == "error"
    assert found in report["database"]["found"]
    assert f"{url.set(**changes).database} on " in report["database"]["found"]
    assert report["database"]["advice"].startswith(advice)
    assert report["keys"]["level"] == "ok", "other checks go on"


def test_wrong_password_is_explained() -> None:
    with new_servers([]) as (postgres,):
        rules = postgres.data / "pg_hba.conf"
        rules.write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        postgres.start()
        wait_until(lambda: status_of(postgres.url) is not None)
        url = make_url(postgres.url).set(password="hunter2")
        report = examine(database_url=url.render_as_string(hide_password=False))

    assert "password authentication failed" in report["database"]["found"]
    assert report["database"]["advice"] == "Correct the user or the password in the database URL."


def status_of(url: str) -> str | None:
    """Return why PostgreSQL refuses a connection, or None while it does not listen."""
    try:
        psycopg2.connect(url, connect_timeout=5).close()
    except psycopg2.OperationalError as error:
        return None if "refused" in str(error) else str(error)
    return "accepted"


def test_standby_is_an_error_as_primary_and_good_as_replica(database_url: str) -> None:
    with new_servers([]) as (postgres,):
        postgres.touch("standby.signal")
        postgres.start()
        postgres.wait("SELECT pg_is_in_recovery()")
        primary = examine(database_url=postgres.url)
        replica = examine(database_url=database_url, read_database_url=postgres.url)

    assert primary["database-access"]["level"] == "error"
    assert "target_session_attrs=read-write" in primary["database-access"]["advice"]
    assert primary["migrations"]["level"] == "error", "the other checks go on"
    assert replica["replica"]["level"] == "ok"


def test_port_that_accepts_and_says_nothing_does_not_hang_the_command() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        report = examine(
            database_url=f"postgresql://agent:hunter2@127.0.0.1:{port}/agent",
            read_database_url=f"postgresql://agent:hunter2@127.0.0.1:{port}/agent",
            jwt_jwks_url=f"http://127.0.0.1:{port}/keys",
        )

    assert report.seconds < 20
    assert "timeout expired" in report["database"]["found"]
    assert "timeout expired" in report["replica"]["found"]
    assert "the response took too long" in report["keys"]["found"]


def test_database_that_falls_silent_after_the_login_is_reported_once(database_url: str) -> None:
    with Relay(database_url) as relay:
        relay.fall_silent_after_login()
        report = examine(database_url=relay.url)

    assert report["database"]["level"] == "error"
    assert "no answer within 2 seconds" in report["database"]["found"]
    assert report.seconds < 20
    assert not report.names & (ABOUT_DATABASE - {"database"})


@pytest.mark.slow
def test_endless_connect_timeout_does_not_hang_the_command() -> None:
    """The URL's own timeout comes first, so only the timeout of the check ends it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        report = examine(
            database_url=f"postgresql://agent@127.0.0.1:{port}/agent?connect_timeout=0"
        )

    assert report["database"]["found"] == "This check did not end within 20 s"
    assert report["temporary-folder"]["level"] == "ok"


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


def test_running_and_unfinished_migrations_are_found(new_database: Callable[..., str]) -> None:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
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


def test_user_without_the_roles_gets_the_statement_for_an_administrator(
    owner_url: str, database_url: str
) -> None:
    user = make_url(owner_url).username
    execute(database_url, f"REVOKE {roles.MEMBER}, {roles.PUBLIC} FROM {user}")

    report = examine(database_url=owner_url)

    assert report["roles"]["level"] == "error"
    assert f"not a member of {roles.MEMBER}, {roles.PUBLIC}" in report["roles"]["found"]
    assert f'GRANT {roles.MEMBER}, {roles.PUBLIC} TO "{user}";' in report["roles"]["advice"]


def test_missing_right_is_named(new_database: Callable[..., str]) -> None:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    execute(url, "REVOKE INSERT ON runs FROM agent_api_request")

    report = examine(database_url=url)

    assert report["rights"]["level"] == "error"
    assert "GRANT INSERT ON runs TO agent_api_request" in report["rights"]["advice"]


def test_connections_of_all_workers_are_compared_with_the_limit(owner_url: str) -> None:
    most = int(show(owner_url, "max_connections"))

    for workers, level in ((1, "ok"), (most // 20, "warning"), (most // 10, "error")):
        found = examine("--workers", str(workers), database_url=owner_url)["database-connections"]
        assert found["level"] == level
        assert f"{10 * workers} connections of " in found["found"]


def test_connection_limit_of_the_user_is_considered(owner_url: str, database_url: str) -> None:
    user = make_url(owner_url).username
    execute(database_url, f"ALTER ROLE {user} CONNECTION LIMIT 15")

    found = examine("--workers", "2", database_url=owner_url)["database-connections"]

    assert found["level"] == "error"
    assert "the connection limit of the user allows 15" in found["found"]


def test_options_of_the_url_that_turn_timeouts_off_are_found(owner_url: str) -> None:
    sign = "&" if "?" in owner_url else "?"
    report = examine(database_url=f"{owner_url}{sign}options=-cstatement_timeout%3D0")

    assert report["database-timeouts"]["level"] == "warning"
    assert "turn off statement_timeout" in report["database-timeouts"]["found"]


@pytest.mark.parametrize(("seconds", "level"), [(5, "warning"), (-5, "warning"), (0.5, "ok")])
def test_clock_that_differs_by_more_than_a_second_is_found(
    seconds: float, level: str, database_url: str
) -> None:
    program = (
        "import sys, time; right = time.time;"
        f"time.time = lambda: right() - {seconds};"
        "sys.argv = ['agent-api', 'doctor', '--json'];"
        "from agent_api.__main__ import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(database_url=database_url),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    report = parse(result)

    assert report["clock"]["level"] == level
    shown = re.match(
        r"The database's clock is (\S+) s (ahead of|behind) ", report["clock"]["found"]
    )
    assert shown is not None, report["clock"]
    assert float(shown[1]) == pytest.approx(abs(seconds), abs=0.1)
    assert shown[2] == ("ahead of" if seconds > 0 else "behind")


def test_primary_as_replica_is_a_warning(database_url: str) -> None:
    report = examine(database_url=database_url, read_database_url=database_url)

    assert report["replica"]["level"] == "warning"
    assert "is not a standby" in report["replica"]["found"]


def test_messages_that_search_does_not_find_yet_are_counted(
    new_database: Callable[..., str],
) -> None:
    url = new_database()
    schema.upgrade(url, migrations.FOLDER)
    execute(
        url,
        "INSERT INTO conversations (id, user_id, title, source, last_position,"
        " indexed_position)"
        " VALUES (gen_random_uuid(), 'maria', 'T', 'test', 3, 1)",
    )

    report = examine(database_url=url)

    assert report["search"]["level"] == "warning"
    assert "of 1 conversation" in report["search"]["found"]
