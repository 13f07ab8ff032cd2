"""The engine: one pool for both ways of working, and our words for a database that fails."""

import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing

import psycopg2
import pytest
from sqlalchemy import Connection, exc

from db import engine, errors

UNREACHABLE = "postgresql://postgres@127.0.0.1:1/none"


@pytest.fixture
def dispose() -> Iterator[None]:
    yield
    engine.dispose()


def sql(connection: Connection, statement: str) -> object:
    return connection.exec_driver_sql(statement).scalar()


def test_both_ways_of_working_share_one_pool(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with engine.autocommit() as connection:
        reading = sql(connection, "SELECT pg_backend_pid()")
    with engine.transaction() as connection:
        writing = sql(connection, "SELECT pg_backend_pid()")

    assert reading == writing


def test_a_transaction_is_one_and_leaves_the_connection_as_it_was(
    database_url: str, dispose: None
) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    for _ in range(2):
        with engine.autocommit() as connection:
            lone = {sql(connection, "SELECT txid_current()") for _ in range(2)}
        with engine.transaction() as connection:
            together = {sql(connection, "SELECT txid_current()") for _ in range(2)}
        assert (len(lone), len(together)) == (2, 1)


def test_a_transaction_that_raises_leaves_nothing(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)
    insert = "INSERT INTO chat_settings (user_id) VALUES ('nobody''s')"

    def fail() -> None:
        with engine.transaction() as connection:
            connection.exec_driver_sql(insert)
            raise LookupError

    with pytest.raises(LookupError):
        fail()

    with engine.autocommit() as connection:
        found = sql(connection, "SELECT count(*) FROM chat_settings WHERE user_id = 'nobody''s'")
    assert found == 0


@pytest.mark.parametrize("inner", [engine.autocommit, engine.transaction])
def test_what_runs_within_a_transaction_is_part_of_it(
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
                sql(connection, insert)
            if fail:
                raise LookupError

    def found() -> object:
        with engine.autocommit() as connection:
            return sql(connection, count)

    with pytest.raises(LookupError):
        work(fail=True)
    after_failing = found()
    work(fail=False)

    assert (after_failing, found()) == (0, 1)


def test_an_error_within_a_transaction_s_part_is_translated_and_ends_it(
    database_url: str, dispose: None
) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=50)

    def fail() -> None:
        with engine.transaction() as outer:
            sql(outer, "INSERT INTO chat_settings (user_id) VALUES ('outer') RETURNING 1")
            with pytest.raises(errors.Timeout), engine.autocommit() as connection:
                sql(connection, "SELECT pg_sleep(9)")
            sql(outer, "SELECT 1")

    with pytest.raises(errors.Refused, match="InFailedSqlTransaction"):
        fail()


def test_a_transaction_is_its_thread_s_alone(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=2, statement_timeout_ms=5000)

    def backend() -> object:
        with engine.autocommit() as connection:
            return sql(connection, "SELECT pg_backend_pid()")

    with engine.transaction(), ThreadPoolExecutor(1) as threads:
        here, there = backend(), threads.submit(backend).result(10)

    assert here != there


def test_a_session_is_set_up(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=4321)

    with engine.autocommit() as connection:
        found = [
            sql(connection, f"SHOW {name}")
            for name in ("statement_timeout", "timezone", "application_name", "jit")
        ]

    assert found == ["4321ms", "UTC", "agent-api", "off"]


def test_a_slow_statement_is_a_timeout(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=50)

    with pytest.raises(errors.Timeout), engine.autocommit() as connection:
        sql(connection, "SELECT pg_sleep(5)")

    with engine.autocommit() as connection:  # which does not cost the connection
        assert sql(connection, "SELECT 1") == 1


def test_a_long_wait_for_a_lock_is_a_timeout(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=2, statement_timeout_ms=5000)

    with closing(psycopg2.connect(database_url)) as holder:
        holder.cursor().execute("SELECT pg_advisory_xact_lock(1)")
        statement = "SET LOCAL lock_timeout = '50ms'; SELECT pg_advisory_xact_lock(1)"
        with pytest.raises(errors.Timeout), engine.transaction() as connection:
            sql(connection, statement)


def test_an_answer_over_a_gigabyte_is_too_large(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=50)

    with pytest.raises(errors.TooLarge), engine.autocommit() as connection:
        sql(connection, "SELECT repeat('x', 1 << 30)")


@pytest.mark.parametrize(
    "statement", ["TABLE no_table", "SELECT no_column FROM runs", "TABLE pg_authid"]
)
def test_a_schema_that_does_not_fit_is_unavailable(
    database_url: str, dispose: None, statement: str
) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with engine.transaction() as connection:
        sql(connection, "SELECT set_config('role', 'pg_monitor', true)")
        with pytest.raises(errors.Unavailable), engine.translated():
            sql(connection, statement)


def test_no_server_is_unavailable(dispose: None) -> None:
    engine.configure(UNREACHABLE, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(errors.Unavailable), engine.autocommit():
        pass
    with pytest.raises(errors.Unavailable), engine.transaction():
        pass


def test_a_pool_with_none_free_is_unavailable(
    database_url: str, dispose: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.pool, "POOL_WAIT_SECONDS", 0.05)
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with engine.autocommit(), pytest.raises(errors.Unavailable, match="free"), engine.autocommit():
        pass


def test_a_lost_connection_is_unavailable_once(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=4, statement_timeout_ms=5000)
    with engine.autocommit() as first, engine.autocommit() as second:
        pids = [sql(each, "SELECT pg_backend_pid()") for each in (first, second)]
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", (pids,))
    time.sleep(0.1)

    with pytest.raises(errors.Unavailable), engine.autocommit() as connection:
        sql(connection, "SELECT 1")

    for _ in range(4):  # none of the pool's other dead connections comes up
        with engine.autocommit() as connection:
            assert sql(connection, "SELECT 1") == 1


def test_a_read_only_server_is_unavailable(database_url: str, dispose: None) -> None:
    engine.configure(
        f"{database_url}{'&' if '?' in database_url else '?'}"
        "options=-c%20default_transaction_read_only=on",
        pool_size=1,
        statement_timeout_ms=5000,
    )

    with pytest.raises(errors.Unavailable), engine.autocommit() as connection:
        connection.exec_driver_sql("INSERT INTO chat_settings (user_id) VALUES ('u')")


def test_a_refused_write_leaves_every_connection_of_before(
    database_url: str, dispose: None
) -> None:
    """They are to a server that is no longer the one to write to."""
    engine.configure(database_url, pool_size=3, statement_timeout_ms=5000)
    with engine.autocommit() as first, engine.autocommit() as second:
        before = {sql(each, "SELECT pg_backend_pid()") for each in (first, second)}
    time.sleep(0.05)  # SQLAlchemy tells before from after by a clock

    statement = "SET TRANSACTION READ ONLY; INSERT INTO chat_settings (user_id) VALUES ('u')"
    with pytest.raises(errors.Unavailable, match="read-only"), engine.transaction() as connection:
        connection.exec_driver_sql(statement)

    with engine.autocommit() as first, engine.autocommit() as second, engine.autocommit() as third:
        after = {sql(each, "SELECT pg_backend_pid()") for each in (first, second, third)}
    assert not before & after


def test_a_deadlock_is_unavailable_to_one_of_the_two(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=2, statement_timeout_ms=10_000)
    both_hold = threading.Barrier(2)
    outcomes: list[str] = []

    def lock(first: int, second: int) -> None:
        try:
            with engine.transaction() as connection:
                sql(connection, f"SELECT pg_advisory_xact_lock({first})")
                both_hold.wait()
                sql(connection, f"SELECT pg_advisory_xact_lock({second})")
        except errors.Unavailable:
            outcomes.append("unavailable")
        else:
            outcomes.append("done")

    threads = [threading.Thread(target=lock, args=pair) for pair in ((11, 12), (12, 11))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["done", "unavailable"]


@pytest.mark.parametrize("code", ["08006", "25006", "40001", "53100", "53300", "57P01", "57P03"])
def test_what_passes_by_itself_is_unavailable(database_url: str, dispose: None, code: str) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(errors.Unavailable), engine.autocommit() as connection:
        connection.exec_driver_sql(f"DO $$ BEGIN RAISE SQLSTATE '{code}'; END $$")


def test_a_new_configuration_takes_the_place_of_the_old(database_url: str, dispose: None) -> None:
    engine.configure(UNREACHABLE, pool_size=1, statement_timeout_ms=5000)
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    assert engine.url() == database_url
    with engine.autocommit() as connection:
        assert sql(connection, "SELECT 1") == 1


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT 1 + ' a secret", "SyntaxError, SQLSTATE 42601"),
        ("SELECT ' a secret'::int", "InvalidTextRepresentation, SQLSTATE 22P02"),
        (
            "INSERT INTO runs (agent_id, created_by) VALUES (' a secret', '')",
            "CheckViolation, SQLSTATE 23514, table runs, constraint ck_runs_created_by",
        ),
    ],
)
def test_a_bug_is_told_by_names_and_never_in_the_driver_s_words(
    database_url: str, dispose: None, statement: str, said: str
) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(errors.Refused) as raised, engine.autocommit() as connection:
        connection.exec_driver_sql(statement)

    assert str(raised.value) == said
    printed = "".join(traceback.format_exception(raised.value))
    assert "exec_driver_sql(statement)" in printed
    assert " a secret" not in printed


def test_what_is_not_the_database_s_passes_as_it_is(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with pytest.raises(KeyError), engine.autocommit():
        raise KeyError


def test_an_error_keeps_the_parameters_to_itself(database_url: str, dispose: None) -> None:
    engine.configure(database_url, pool_size=1, statement_timeout_ms=5000)

    with engine.autocommit() as connection, pytest.raises(exc.DataError) as raised:
        connection.exec_driver_sql("SELECT 1/0, %s", ("a secret",))

    assert "a secret" not in str(raised.value)


def test_the_engine_has_to_be_configured_first() -> None:
    with pytest.raises(RuntimeError, match="configure"), engine.autocommit():
        pass


@pytest.mark.parametrize("begin", ["postgresql://", "postgres://", "postgresql+psycopg2://"])
def test_every_name_of_postgresql_will_do(database_url: str, dispose: None, begin: str) -> None:
    _, _, rest = database_url.partition("://")
    engine.configure(begin + rest, pool_size=1, statement_timeout_ms=5000)

    with engine.autocommit() as connection:
        assert sql(connection, "SELECT 1") == 1


@pytest.mark.parametrize(
    "url", ["", "nonsense", "mysql://u:hidden@h/d", "postgresql+asyncpg://h/d"]
)
def test_another_database_is_refused_without_a_word_of_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://") as raised:
        engine.configure(url, pool_size=1, statement_timeout_ms=5000)

    assert "hidden" not in str(raised.value)


def test_the_layer_stands_alone() -> None:
    program = (
        "import sys; from db import conversations, messages, runs, chat_settings, schema;"
        "print([name for name in ('agent_api', 'handlers', 'connexion', 'flask')"
        " if name in sys.modules])"
    )

    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert result.stdout.strip() == b"[]"
