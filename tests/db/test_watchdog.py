"""A database that goes silent while somebody waits: the wait ends, and the next one works."""

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

import migrations
from db import engine, errors
from db.engine import watchdog
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


def test_a_statement_that_is_never_answered_is_unavailable(relay: Relay) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    assert ask() == 1
    relay.fall_silent()

    begin = time.monotonic()
    with pytest.raises(errors.Unavailable, match="lost"):
        ask()

    assert 1 < time.monotonic() - begin < 4
    relay.speak()
    assert ask() == 1


def test_a_commit_that_is_never_answered_is_unavailable(relay: Relay) -> None:
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


def test_a_new_connection_that_is_never_answered_is_unavailable(relay: Relay) -> None:
    """Its first statement is SQLAlchemy's own, which asks for the version."""
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    relay.fall_silent_after_login()

    with pytest.raises(errors.Unavailable):
        ask()

    relay.speak()
    assert ask() == 1


def test_readiness_ends_though_the_database_is_silent_after_the_login(relay: Relay) -> None:
    relay.fall_silent_after_login()

    begin = time.monotonic()
    reason = readiness.check(relay.url, migrations.FOLDER)

    assert reason == "The database did not answer in time."
    assert time.monotonic() - begin < 8


def test_a_connection_that_is_in_time_is_left_alone(relay: Relay) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)
    before = ask("SELECT pg_backend_pid()")

    for _ in range(10):
        ask("SELECT pg_sleep(0.15)")

    assert ask("SELECT pg_backend_pid()") == before


def test_what_counts_is_each_statement_not_the_transaction(relay: Relay) -> None:
    engine.configure(relay.url, pool_size=1, statement_timeout_ms=200)

    with engine.transaction() as connection:
        for _ in range(12):
            connection.exec_driver_sql("SELECT pg_sleep(0.15)")


def test_to_cut_a_closed_connection_does_nothing(database_url: str) -> None:
    with closing(
        psycopg2.connect(database_url, connection_factory=watchdog.InterruptibleConnection)
    ) as line:
        pass

    line.interrupt()
