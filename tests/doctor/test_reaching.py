"""A database that refuses connections, hangs, or falls silent."""

import socket

import psycopg2
import pytest
from sqlalchemy import make_url

from tests.doctor.examining import ABOUT_DATABASE, examine
from tests.failover.postgres import new_servers
from tests.processes import wait_until
from tests.servers import SECRET, free_port
from tests.silence import Relay

pytestmark = pytest.mark.process


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
        wait_until(lambda: "password" in (status_of(postgres.url) or ""))  # not still starting
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
