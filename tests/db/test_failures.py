"""How errors of the database are translated."""

import asyncio
import traceback
from contextlib import closing
from functools import partial

import psycopg2
import pytest

from db import engine, errors
from db.engine import bridge
from db.engine.connections import pool
from tests.db.rows import value
from tests.db.waiting import at_once, on_loop

UNREACHABLE = "postgresql://postgres@127.0.0.1:1/none"


def test_lock_timeout_raises_timeout(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=2, statement_timeout_ms=5000)

    with closing(psycopg2.connect(database_url)) as holder:
        holder.cursor().execute("SELECT pg_advisory_xact_lock(1)")
        statement = "SET LOCAL lock_timeout = '50ms'; SELECT pg_advisory_xact_lock(1)"
        with pytest.raises(errors.Timeout), engine.transaction() as connection:
            value(connection, statement)


def test_result_over_1_gb_raises_too_large(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(errors.TooLarge), engine.autocommit() as connection:
        value(connection, "SELECT repeat('x', 1 << 30)")


@pytest.mark.parametrize(
    "statement", ["TABLE no_table", "SELECT no_column FROM runs", "TABLE pg_authid"]
)
def test_wrong_schema_raises_unavailable(database_url: str, dispose: None, statement: str) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with engine.transaction() as connection:
        value(connection, "SELECT set_config('role', 'pg_monitor', true)")
        with pytest.raises(errors.Unavailable), engine.translated():
            value(connection, statement)


def test_unreachable_server_raises_unavailable(dispose: None) -> None:
    engine.configure(UNREACHABLE, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(errors.Unavailable), engine.autocommit():
        pass
    with pytest.raises(errors.Unavailable), engine.transaction():
        pass


def test_exhausted_pool_raises_unavailable(
    database_url: str, dispose: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "WAIT_SECONDS", 0.05)
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    def take_two() -> None:
        with engine.autocommit(), engine.autocommit():
            pass

    for call in (take_two, partial(on_loop, take_two)):
        with pytest.raises(errors.Unavailable, match="free"):
            call()


def test_read_only_server_raises_unavailable(database_url: str, dispose: None) -> None:
    engine.configure(
        f"{database_url}{'&' if '?' in database_url else '?'}"
        "options=-c%20default_transaction_read_only=on",
        pool_size=1,
        statement_timeout_ms=5000,
    )

    with pytest.raises(errors.Unavailable), engine.autocommit() as connection:
        connection.execute("INSERT INTO chat_settings (user_id) VALUES ('u')")


def test_refused_write_discards_all_older_connections(database_url: str, dispose: None) -> None:
    """After a failover they are connected to the former primary."""
    engine.configure(database_url, pool_size=3, statement_timeout_ms=5000)
    with engine.autocommit() as first, engine.autocommit() as second:
        before = {value(each, "SELECT pg_backend_pid()") for each in (first, second)}

    statement = "SET TRANSACTION READ ONLY; INSERT INTO chat_settings (user_id) VALUES ('u')"
    with pytest.raises(errors.Unavailable, match="read-only"), engine.transaction() as connection:
        connection.execute(statement)

    with engine.autocommit() as first, engine.autocommit() as second, engine.autocommit() as third:
        after = {value(each, "SELECT pg_backend_pid()") for each in (first, second, third)}
    assert not before & after


def test_deadlock_raises_unavailable_in_one_transaction(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=2, statement_timeout_ms=10_000)
    both_hold = asyncio.Barrier(2)

    def lock(first: int, second: int) -> str:
        try:
            with engine.transaction() as connection:
                value(connection, f"SELECT pg_advisory_xact_lock({first})")
                bridge.wait(both_hold.wait())
                value(connection, f"SELECT pg_advisory_xact_lock({second})")
        except errors.Unavailable:
            return "unavailable"
        return "done"

    outcomes = at_once([partial(lock, *pair) for pair in ((11, 12), (12, 11))])

    assert sorted(outcomes) == ["done", "unavailable"]


@pytest.mark.parametrize("code", ["08006", "25006", "40001", "53100", "53300", "57P01", "57P03"])
def test_temporary_error_raises_unavailable(database_url: str, dispose: None, code: str) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(errors.Unavailable), engine.autocommit() as connection:
        connection.execute(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1 + ' a secret", "SyntaxError, SQLSTATE 42601"),
        ("SELECT ' a secret'::int", "InvalidTextRepresentation, SQLSTATE 22P02"),
        (
            "INSERT INTO runs (agent_id, created_by) VALUES (' a secret', '')",
            "CheckViolation, SQLSTATE 23514, table runs, constraint ck_runs_created_by",
        ),
    ],
)
def test_refused_statement_is_reported_without_its_data(
    database_url: str, dispose: None, statement: str, expected: str
) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(errors.Refused) as raised, engine.autocommit() as connection:
        connection.execute(statement)

    assert str(raised.value) == expected
    printed = "".join(traceback.format_exception(raised.value))
    assert "execute(statement)" in printed
    assert " a secret" not in printed


def test_other_exceptions_are_not_translated(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(KeyError), engine.autocommit():
        raise KeyError


def test_database_error_does_not_contain_parameters(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with engine.autocommit() as connection, pytest.raises(psycopg2.DataError) as raised:
        connection.execute("SELECT 1/0, %(said)s", {"said": "a secret"})

    assert "a secret" not in str(raised.value)
