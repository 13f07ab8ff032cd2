"""Tests of migrations while others use the database."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from alembic import command
from sqlalchemy import text

import migrations
from db import engine, errors, models, schema
from tests.db.migrating import REVISIONS, alembic, ask
from tests.processes import wait_until


@pytest.mark.process
def test_concurrent_upgrades_succeed(url: str) -> None:
    # Processes, because all threads share Alembic's context.
    program = (
        "import sys, migrations; from db import schema;"
        " schema.upgrade(sys.argv[1], migrations.FOLDER, on_step=print)"
    )

    racers = [
        subprocess.Popen(
            [sys.executable, "-c", program, url], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    outcomes = [racer.communicate(timeout=60) for racer in racers]

    assert [
        (racer.returncode, error) for racer, (_, error) in zip(racers, outcomes, strict=True)
    ] == [(0, b"")] * 2
    assert sum(output.count(b"0001") for output, _ in outcomes) == 1
    assert schema.pending(url, migrations.FOLDER) == []


@pytest.mark.slow  # waits for the lock_timeout of 5 s
def test_migration_gives_up_soon_if_a_table_is_in_use(url: str) -> None:
    schema.upgrade(url, migrations.FOLDER)
    # A reader holds its lock: the drop gives up, so that the requests behind it can continue.
    with closing(psycopg2.connect(url)) as reader:
        reader.cursor().execute("SELECT FROM messages")
        with pytest.raises(errors.Timeout), engine.translated():
            command.downgrade(alembic(url), "base")

    assert schema.pending(url, migrations.FOLDER) == []


def test_migration_sets_timeouts(url: str) -> None:
    private = engine.private_engine(url)
    with private.begin() as connection:
        config = alembic(url)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        limits = [
            connection.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "statement_timeout")
        ]

    assert limits == ["5s", "10min"]


def test_upgrade_from_0001_succeeds_while_clients_read(url: str) -> None:
    """Readers that hold one table's lock and wait for the next one's cause no deadlock."""
    command.upgrade(alembic(url), "0001")
    with closing(psycopg2.connect(url)) as writer, writer.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO conversations (title, user_id) SELECT 'T', 'user-' || n
            FROM generate_series(1, 20) n;
            INSERT INTO messages (conversation_id, position, role, content)
            SELECT id, n, 'user', 'Hello' FROM conversations, generate_series(1, 500) n
            """
        )
        writer.commit()
    is_over = threading.Event()
    all_read = threading.Barrier(5)

    def read() -> int:
        rounds = 0
        with closing(psycopg2.connect(url)) as reader, reader.cursor() as cursor:
            reader.autocommit = True
            while not is_over.is_set():
                cursor.execute("SELECT count(*) FROM conversations c, messages m WHERE m.id = c.id")
                rounds += 1
                if rounds == 1:
                    all_read.wait(30)
        return rounds

    with ThreadPoolExecutor(4) as threads:
        readers = [threads.submit(read) for _ in range(4)]
        try:
            all_read.wait(30)
            schema.upgrade(url, migrations.FOLDER)
        finally:
            is_over.set()
        assert all(reader.result(30) for reader in readers)

    owners = "SELECT DISTINCT (m.user_id = c.user_id)::text FROM messages m, conversations c"
    assert ask(url, f"{owners} WHERE c.id = m.conversation_id") == {"true"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "table"),
    [
        *(("0008", "0009", table) for table in ("changes", "idempotency_keys", "run_events")),
        ("0010", "0011", "changes"),
    ],
)
def test_upgrade_does_not_deadlock_with_a_request(
    url: str, before: str, after: str, table: str
) -> None:
    """A request can write to each of these tables before it locks a conversation."""
    command.upgrade(alembic(url), before)
    waiting = "SELECT relation::regclass::text FROM pg_locks WHERE NOT granted"
    with closing(psycopg2.connect(url)) as request, request.cursor() as cursor:
        cursor.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE")
        with ThreadPoolExecutor(1) as threads:
            migration = threads.submit(command.upgrade, alembic(url), after)
            try:
                wait_until(lambda: table in ask(url, waiting))
                cursor.execute("LOCK TABLE conversations IN ROW SHARE MODE")
            finally:
                request.rollback()
            migration.result(30)


@pytest.mark.slow
@pytest.mark.parametrize("revision", REVISIONS[:-2])
def test_upgrade_by_several_revisions_does_not_deadlock_with_a_request(
    url: str, revision: str
) -> None:
    """The locks of one revision are kept while the next one waits for its own."""
    command.upgrade(alembic(url), revision)
    others = set(models.Base.metadata.tables) & ask(url, "SELECT relname FROM pg_class")
    waiting = "SELECT relation::regclass::text FROM pg_locks WHERE NOT granted"
    with closing(psycopg2.connect(url)) as request, request.cursor() as cursor:
        cursor.execute("LOCK TABLE messages IN ROW EXCLUSIVE MODE")
        with ThreadPoolExecutor(1) as threads:
            migration = threads.submit(schema.upgrade, url, migrations.FOLDER)
            try:
                wait_until(lambda: "messages" in ask(url, waiting))
                cursor.execute(f"LOCK TABLE {', '.join(others)} IN ROW EXCLUSIVE MODE")
            finally:
                request.rollback()
            migration.result(30)
