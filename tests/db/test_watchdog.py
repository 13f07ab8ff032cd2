"""Tests with a proxy that stops forwarding: waiting ends, and the next statement works."""

import time
from collections.abc import Iterator

import psycopg2
import pytest

import migrations
from db import engine, errors
from db.engine.watchdog import InterruptibleConnection
from db.schema import readiness
from tests.silence import Relay


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    with Relay(database_url) as running:
        yield running
    engine.dispose()


def ask(statement: str = "SELECT 1") -> object:
    with engine.autocommit() as connection:
        return connection.exec_driver_sql(statement).scalar()


def test_unanswered_statement_raises_unavailable(relay: Relay) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    assert ask() == 1
    relay.fall_silent()

    begin = time.monotonic()
    with pytest.raises(errors.Unavailable, match="lost"):
        ask()

    assert 1 < time.monotonic() - begin < 30
    relay.speak()
    assert ask() == 1


@pytest.mark.process
def test_unanswered_commit_raises_unavailable(relay: Relay) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    assert ask() == 1

    def commit_in_silence() -> None:
        with engine.transaction() as connection:
            connection.exec_driver_sql("SELECT 1")
            relay.fall_silent()

    with pytest.raises(errors.Unavailable, match="lost"):
        commit_in_silence()

    relay.speak()
    assert ask() == 1


@pytest.mark.process
def test_unanswered_new_connection_raises_unavailable(relay: Relay) -> None:
    """SQLAlchemy's query for the server version is the first to get no answer."""
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    relay.fall_silent_after_login()

    with pytest.raises(errors.Unavailable):
        ask()

    relay.speak()
    assert ask() == 1


@pytest.mark.process
def test_readiness_check_ends_if_the_database_does_not_answer_after_login(relay: Relay) -> None:
    relay.fall_silent_after_login()

    begin = time.monotonic()
    reason = readiness.check(relay.url, migrations.FOLDER)

    assert reason == "The database did not respond in time."
    assert time.monotonic() - begin < 60


@pytest.mark.process
def test_connection_that_answers_in_time_is_kept(relay: Relay) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=1000)
    before = ask("SELECT pg_backend_pid()")

    for _ in range(10):
        ask("SELECT pg_sleep(0.3)")

    assert ask("SELECT pg_backend_pid()") == before


@pytest.mark.process
def test_timeout_applies_to_each_statement_not_to_the_transaction(relay: Relay) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=1000)

    with engine.transaction() as connection:
        for _ in range(8):
            connection.exec_driver_sql("SELECT pg_sleep(0.3)")


def test_interrupting_a_closed_connection_does_nothing(database_url: str) -> None:
    connection = psycopg2.connect(database_url, connection_factory=InterruptibleConnection)
    connection.close()

    connection.interrupt()
