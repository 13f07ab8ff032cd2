"""A database that can be reached: its user, settings, limits, clock, roles and rights."""

import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing

import psycopg2
import pytest
from sqlalchemy import make_url

from db.engine import roles
from tests.doctor.examining import ABOUT_DATABASE, examine, execute, parse
from tests.failover.postgres import new_servers
from tests.servers import SECRET, clean_environment

pytestmark = pytest.mark.process


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


def test_user_without_the_roles_gets_the_statement_for_an_administrator(
    owner_url: str, database_url: str
) -> None:
    user = make_url(owner_url).username
    execute(database_url, f"REVOKE {roles.MEMBER}, {roles.PUBLIC} FROM {user}")

    report = examine(database_url=owner_url)

    assert report["roles"]["level"] == "error"
    assert f"not a member of {roles.MEMBER}, {roles.PUBLIC}" in report["roles"]["found"]
    assert f'GRANT {roles.MEMBER}, {roles.PUBLIC} TO "{user}";' in report["roles"]["advice"]


def test_missing_right_is_named(new_migrated_database: Callable[[], str]) -> None:
    url = new_migrated_database()
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
    assert float(shown[1]) == pytest.approx(abs(seconds), abs=0.4)  # half of a slow answer's time
    assert shown[2] == ("ahead of" if seconds > 0 else "behind")


def test_primary_as_replica_is_a_warning(database_url: str) -> None:
    report = examine(database_url=database_url, read_database_url=database_url)

    assert report["replica"]["level"] == "warning"
    assert "is not a standby" in report["replica"]["found"]


def test_messages_that_search_does_not_find_yet_are_counted(
    new_migrated_database: Callable[[], str],
) -> None:
    url = new_migrated_database()
    execute(
        url,
        "INSERT INTO conversations (id, user_id, title, source, last_position,"
        " indexed_position)"
        " VALUES (gen_random_uuid(), 'maria', 'T', 'test', 3, 1)",
    )

    report = examine(database_url=url)

    assert report["search"]["level"] == "warning"
    assert "of 1 conversation" in report["search"]["found"]
