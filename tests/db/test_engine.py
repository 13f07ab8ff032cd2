"""Tests of the connection pool and of transactions."""

import asyncio
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from db import engine, errors
from db.engine import Connection, bridge
from tests.db.rows import value

UNREACHABLE = "postgresql://postgres@127.0.0.1:1/none"


def test_autocommit_and_transaction_share_one_pool(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with engine.autocommit() as connection:
        reading = value(connection, "SELECT pg_backend_pid()")
    with engine.transaction() as connection:
        writing = value(connection, "SELECT pg_backend_pid()")

    assert reading == writing


def test_transaction_restores_autocommit_when_it_ends(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    for _ in range(2):
        with engine.autocommit() as connection:
            lone = {value(connection, "SELECT txid_current()") for _ in range(2)}
        with engine.transaction() as connection:
            together = {value(connection, "SELECT txid_current()") for _ in range(2)}
        assert (len(lone), len(together)) == (2, 1)


@pytest.mark.parametrize("inner", [engine.autocommit, engine.transaction])
def test_nested_block_joins_the_transaction(
    database_url: str,
    dispose: None,
    inner: Callable[[], AbstractContextManager[Connection]],
) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)
    user = f"user-{uuid.uuid4()}"
    insert = f"INSERT INTO chat_settings (user_id) VALUES ('{user}') RETURNING 1"
    count = f"SELECT count(*) FROM chat_settings WHERE user_id = '{user}'"

    def work(*, fail: bool) -> None:
        with engine.transaction() as outer:
            with inner() as connection:
                assert connection is outer
                value(connection, insert)
            if fail:
                raise LookupError

    def found() -> object:
        with engine.autocommit() as connection:
            return value(connection, count)

    with pytest.raises(LookupError):
        work(fail=True)
    after_failing = found()
    work(fail=False)

    assert (after_failing, found()) == (0, 1)


def test_failed_statement_in_a_nested_block_ends_the_transaction(
    database_url: str, dispose: None
) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=500)

    def fail() -> None:
        with engine.transaction() as outer:
            value(outer, "INSERT INTO chat_settings (user_id) VALUES ('outer') RETURNING 1")
            with pytest.raises(errors.Timeout), engine.autocommit() as connection:
                value(connection, "SELECT pg_sleep(9)")
            value(outer, "SELECT 1")

    with pytest.raises(errors.Refused, match="InFailedSqlTransaction"):
        fail()


def test_transaction_that_cannot_begin_does_not_affect_later_ones(
    database_url: str, dispose: None
) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)
    with engine.autocommit() as connection:
        settings, connection.settings = connection.settings, "SELECT 1 / 0;\n"

    with pytest.raises(errors.Refused, match="DivisionByZero"), engine.transaction():
        pass

    with engine.autocommit() as connection:
        connection.settings = settings
        assert value(connection, "SELECT 1") == 1


def test_transaction_is_invisible_to_other_requests(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=2, statement_timeout_ms=5000)

    def backend() -> object:
        with engine.autocommit() as connection:
            return value(connection, "SELECT pg_backend_pid()")

    async def compare() -> tuple[object, object]:
        begun, ended = asyncio.Event(), asyncio.Event()

        def hold() -> object:
            with engine.transaction():
                begun.set()
                bridge.wait(ended.wait())
                return backend()

        holding = asyncio.create_task(bridge.run(hold))
        await begun.wait()
        there = await bridge.run(backend)
        ended.set()
        return await holding, there

    here, there = asyncio.run(compare())

    assert here != there


def test_session_has_its_settings(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=4321)

    with engine.autocommit() as connection:
        found = [
            value(connection, f"SHOW {name}")
            for name in ("statement_timeout", "timezone", "application_name", "jit")
        ]

    assert found == ["4321ms", "UTC", "agent-api", "off"]


def test_configure_replaces_the_previous_pool(database_url: str, dispose: None) -> None:
    engine.configure(UNREACHABLE, pool_size=1, statement_timeout_ms=5000)
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    assert engine.url() == database_url
    with engine.autocommit() as connection:
        assert value(connection, "SELECT 1") == 1


def test_autocommit_without_configure_raises_runtime_error() -> None:
    with pytest.raises(RuntimeError, match="configure"), engine.autocommit():
        pass


@pytest.mark.parametrize("begin", ["postgresql://", "postgres://", "postgresql+psycopg2://"])
def test_configure_accepts_every_postgresql_scheme(
    database_url: str, dispose: None, begin: str
) -> None:
    _, _, rest = database_url.partition("://")
    engine.configure(begin + rest, pool_size=1, statement_timeout_ms=5000)

    with engine.autocommit() as connection:
        assert value(connection, "SELECT 1") == 1
