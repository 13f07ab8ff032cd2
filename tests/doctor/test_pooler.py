"""The pooler: which one, its mode, and its settings."""

import pytest
from sqlalchemy import make_url

from tests.doctor.conftest import IGNORED, NewPgbouncer
from tests.doctor.examining import examine, execute
from tests.servers import SECRET

pytestmark = pytest.mark.process


@pytest.mark.parametrize("mode", ["transaction", "session", "statement"])
def test_mode_of_a_pooler_is_found_without_its_administrator(
    mode: str, new_pgbouncer: NewPgbouncer, owner_url: str
) -> None:
    with new_pgbouncer(owner_url, mode, IGNORED) as url:
        report = examine(database_url=url, jwt_secret=SECRET)

    found = [each for each in report.findings if each["name"] == "pooler"]
    assert found[0]["found"].startswith(f"a pooler in {mode} mode")
    if mode == "statement":
        assert found[0]["level"] == "error"
        assert found[0]["advice"] == "Set pool_mode = transaction."
    else:
        assert report.code == 0
        assert found[0]["level"] == "ok"


def test_settings_of_pgbouncer_are_checked_if_the_user_may_see_them(
    new_pgbouncer: NewPgbouncer, owner_url: str
) -> None:
    user = make_url(owner_url).username
    lines = (IGNORED, f"stats_users = {user}", "max_client_conn = 15")
    with new_pgbouncer(owner_url, "transaction", *lines) as url:
        report = examine(database_url=url, workers="2")
        waits = report["pooler"]
        waits_less = examine(database_url=url, workers="1", statement_timeout_ms="125000")

    assert (waits["level"], waits["found"]) == (
        "warning",
        "query_wait_timeout is 120 s, longer than the statement timeout of 5 s",
    )
    few = report["database-connections"]
    assert few["level"] == "error"
    assert (
        "2 workers with a pool of 10: 20 connections; max_client_conn of PgBouncer allows 15"
        in few["found"]
    )
    assert waits_less["pooler"]["level"] == "ok"
    assert waits_less["pooler"]["found"].startswith("PgBouncer in transaction mode")


def test_just_in_time_compilation_behind_a_pooler_is_found(
    new_pgbouncer: NewPgbouncer, owner_url: str
) -> None:
    execute(owner_url, f"ALTER ROLE {make_url(owner_url).username} SET jit = on")

    with new_pgbouncer(owner_url, "transaction", IGNORED) as url:
        report = examine(database_url=url)

    assert "jit is on" in report["pooler"]["found"]
    assert "SET jit = off" in report["pooler"]["advice"]
    assert examine(database_url=owner_url)["pooler"]["level"] == "ok"


def test_pgbouncer_that_refuses_options_is_explained(
    new_pgbouncer: NewPgbouncer, owner_url: str
) -> None:
    with new_pgbouncer(owner_url, "transaction") as url:
        report = examine(database_url=url)

    assert report["database"]["level"] == "error"
    assert "unsupported startup parameter" in report["database"]["found"]
    assert "ignore_startup_parameters = extra_float_digits,options" in report["database"]["advice"]
