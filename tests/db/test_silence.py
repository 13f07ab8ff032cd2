"""Tests with a proxy that stops forwarding: waiting ends, and the next statement works."""

import time
from collections.abc import Iterator

import pytest

import migrations
from db import engine, errors
from db.schema import readiness
from tests.db.rows import value
from tests.db.waiting import BOTH_WAYS, Call
from tests.silence import Relay


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    with Relay(database_url) as running:
        yield running
    engine.dispose()


def ask(statement: str = "SELECT 1") -> object:
    with engine.autocommit() as connection:
        return value(connection, statement)


@pytest.mark.slow
@BOTH_WAYS
def test_unanswered_statement_raises_unavailable(relay: Relay, call: Call) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    assert call(ask) == 1
    relay.fall_silent()

    begin = time.monotonic()
    with pytest.raises(errors.Unavailable, match="lost"):
        call(ask)

    assert 1 < time.monotonic() - begin < 30
    relay.speak()
    assert call(ask) == 1


@BOTH_WAYS
@pytest.mark.process
def test_unanswered_commit_raises_unavailable(relay: Relay, call: Call) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    assert call(ask) == 1

    def commit_in_silence() -> None:
        with engine.transaction() as connection:
            connection.execute("SELECT 1")
            relay.fall_silent()

    with pytest.raises(errors.Unavailable, match="lost"):
        call(commit_in_silence)

    relay.speak()
    assert call(ask) == 1


@BOTH_WAYS
@pytest.mark.process
def test_unanswered_first_statement_raises_unavailable(relay: Relay, call: Call) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    relay.fall_silent_after_login()

    with pytest.raises(errors.Unavailable):
        call(ask)

    relay.speak()
    assert call(ask) == 1


@BOTH_WAYS
@pytest.mark.process
def test_unanswered_login_raises_unavailable(relay: Relay, call: Call) -> None:
    url = f"{relay.url}&connect_timeout=1"
    engine.configure(url, pool_size=1, statement_timeout_ms=200)
    relay.fall_silent()

    begin = time.monotonic()
    with pytest.raises(errors.Unavailable) as raised:
        call(ask)

    assert 1 <= time.monotonic() - begin < 30
    assert "timeout expired" in str(raised.value.__cause__)
    relay.speak()
    time.sleep(0.1)  # attempts to connect have an interval after a failure
    assert call(ask) == 1


@BOTH_WAYS
@pytest.mark.process
def test_readiness_check_ends_if_the_database_does_not_answer_after_login(
    relay: Relay, call: Call
) -> None:
    relay.fall_silent_after_login()

    begin = time.monotonic()
    reason = call(readiness.check, relay.url, migrations.FOLDER)

    assert reason == "The database did not respond in time."
    assert time.monotonic() - begin < 60


@BOTH_WAYS
@pytest.mark.process
def test_connection_that_answers_in_time_is_kept(relay: Relay, call: Call) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=1000)
    before = call(ask, "SELECT pg_backend_pid()")

    for _ in range(10):
        call(ask, "SELECT pg_sleep(0.3)")

    assert call(ask, "SELECT pg_backend_pid()") == before


@BOTH_WAYS
@pytest.mark.process
def test_timeout_applies_to_each_statement_not_to_the_transaction(relay: Relay, call: Call) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=1000)

    def sleep() -> None:
        with engine.transaction() as connection:
            for _ in range(8):
                connection.execute("SELECT pg_sleep(0.3)")

    call(sleep)
