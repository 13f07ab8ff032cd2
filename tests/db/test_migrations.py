"""Tests of the migrations: the schema they create, downgrades, locks, and concurrent upgrades."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, inspect, text

import migrations
from db import engine, errors, models, schema
from db.engine.connections import address
from tests.processes import wait_until

SEED = {
    "conversations": {"id", "title", "user_id", "created_at", "updated_at"},
    "messages": {
        "id",
        "conversation_id",
        "role",
        "content",
        "attachments",
        "run_id",
        "routing_decision",
        "tool_calls",
        "created_at",
    },
    "chat_settings": {
        "id",
        "user_id",
        "enabled_tools",
        "enabled_agents",
        "model",
        "temperature",
        "max_tokens",
        "created_at",
        "updated_at",
    },
    "runs": {"id"},
}
SEED_INDEXES = {
    "idx_conversations_user_id",
    "idx_conversations_created_at",
    "idx_messages_conversation_id",
    "idx_messages_created_at",
    "idx_messages_run_id",
}
REVISIONS = sorted(path.name[:4] for path in Path(*migrations.__path__).glob("versions/*_*.py"))
"""All revisions in order; their files are numbered."""

UNREACHABLE = "postgresql://postgres@127.0.0.1:1/none"


def alembic(url: str) -> Config:
    config = Config(cmd_opts=None)
    config.set_main_option("script_location", next(iter(migrations.__path__)))
    config.cmd_opts = type("Options", (), {"x": [f"url={url}"]})()
    return config


def ask(url: str, query: str) -> set[str]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return {row[0] for row in cursor.fetchall()}


def test_upgrade_downgrade_and_upgrade_again(url: str) -> None:
    steps: list[str] = []

    schema.upgrade(url, migrations.FOLDER, on_step=steps.append)
    upgraded = snapshot(url)
    command.downgrade(alembic(url), "base")
    downgraded = snapshot(url)
    pending = schema.pending(url, migrations.FOLDER)
    schema.upgrade(url, migrations.FOLDER)

    assert steps[0] == "0001 Create conversations, messages, chat settings and runs."
    assert [line.split()[0] for line in steps] == REVISIONS
    assert downgraded == {"table alembic_version", "index alembic_version_pkc"}
    assert pending == REVISIONS
    assert schema.head(migrations.FOLDER) == REVISIONS[-1]
    assert snapshot(url) == upgraded
    assert schema.pending(url, migrations.FOLDER) == []


WITH_BRANCHES = """
INSERT INTO conversations (title, user_id) VALUES ('T', 'alice');
INSERT INTO messages (conversation_id, user_id, position, role, content, active)
SELECT id, user_id, n, 'user', 'message ' || n, n <> 2 FROM conversations, generate_series(1, 3) n;
INSERT INTO message_terms (conversation_id, message_id, user_id, role, created_at, terms)
SELECT conversation_id, id, user_id, role, created_at, 'word' FROM messages;
INSERT INTO message_versions (message_id, user_id, version, conversation_id, content)
SELECT id, user_id, 1, conversation_id, content FROM messages;
INSERT INTO chat_attachments (user_id, filename, file_url, mime_type, message_id, conversation_id)
SELECT user_id, content, 'https://files.example/1', 'text/plain', id, conversation_id FROM messages
"""


def test_downgrade_without_branches_deletes_what_belongs_to_hidden_messages(url: str) -> None:
    command.upgrade(alembic(url), "0014")
    with closing(psycopg2.connect(url)) as writer, writer.cursor() as cursor:
        cursor.execute(WITH_BRANCHES)
        writer.commit()

    command.downgrade(alembic(url), "0013")

    shown = ask(url, "SELECT id::text FROM messages")
    assert ask(url, "SELECT content FROM messages") == {"message 1", "message 3"}
    for table in ("message_terms", "message_versions", "chat_attachments"):
        assert ask(url, f"SELECT message_id::text FROM {table}") == shown


def test_alembic_finds_no_difference_to_the_models(url: str) -> None:
    schema.upgrade(url, migrations.FOLDER)

    command.check(alembic(url))


def test_migrations_create_exactly_the_schema_of_the_models(
    url: str, new_database: Callable[[], str]
) -> None:
    # Alembic compares neither CHECK constraints nor the conditions of indexes.
    from_models = new_database()
    private = create_engine(address.normalise(from_models))
    models.Base.metadata.create_all(private)
    private.dispose()

    schema.upgrade(url, migrations.FOLDER)

    migrated, expected = snapshot(url), snapshot(from_models)
    assert migrated - expected == {"table alembic_version", "index alembic_version_pkc"}
    assert expected - migrated == set()


def test_tables_columns_and_indexes_of_the_seed_plan_exist(url: str) -> None:
    schema.upgrade(url, migrations.FOLDER)
    private = create_engine(address.normalise(url))
    found = inspect(private)

    assert set(found.get_table_names()) >= SEED.keys()
    for table, columns in SEED.items():
        assert columns <= {column["name"] for column in found.get_columns(table)}
    indexes = {index["name"] for table in SEED for index in found.get_indexes(table)}
    assert indexes >= SEED_INDEXES
    private.dispose()


def test_constraints_and_indexes_follow_the_naming_convention(url: str) -> None:
    schema.upgrade(url, migrations.FOLDER)

    # PostgreSQL 18 names NOT NULL constraints itself.
    names = ask(
        url,
        "SELECT conname FROM pg_constraint JOIN pg_class t ON t.oid = conrelid"
        " WHERE contype <> 'n' AND connamespace = 'public'::regnamespace"
        " AND t.relname <> 'alembic_version'"
        " UNION SELECT c.relname FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
        " JOIN pg_class t ON t.oid = indrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND t.relname <> 'alembic_version'",
    )

    tables = tuple(models.Base.metadata.tables)
    prefixes = tuple(
        f"{kind}_{table}" for kind in ("pk", "fk", "uq", "ck", "idx") for table in tables
    )
    assert names
    assert {name for name in names if not name.startswith(prefixes)} == set()


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


def test_offline_migration_prints_its_sql(capsys: pytest.CaptureFixture[str]) -> None:
    command.upgrade(alembic(UNREACHABLE), "head", sql=True)

    written = capsys.readouterr().out
    assert written.index("SET LOCAL lock_timeout = '5s'") < written.index("CREATE TABLE conver")
    assert written.rstrip().endswith("COMMIT;")


def test_alembic_without_a_url_names_the_option() -> None:
    config = alembic("")
    config.cmd_opts = None

    with pytest.raises(SystemExit, match="alembic -x url="):
        command.current(config)


def test_new_migration_gets_the_next_number(
    url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    schema.upgrade(url, migrations.FOLDER)
    config = alembic(url)
    folder = tmp_path_factory.mktemp("versions")
    config.set_main_option(
        "version_locations", f"{next(iter(migrations.__path__))}/versions\n{folder}"
    )
    config.set_main_option("path_separator", "newline")

    script = command.revision(
        config, "Add nothing", autogenerate=True, version_path=str(folder), head="head"
    )

    assert script is not None
    assert not isinstance(script, list)
    assert (script.revision, script.down_revision) == (
        f"{int(REVISIONS[-1]) + 1:04}",
        REVISIONS[-1],
    )


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


def snapshot(url: str) -> set[str]:
    """Return all tables, columns, indexes and constraints with their definitions."""
    return ask(
        url,
        """
        SELECT CASE relkind WHEN 'r' THEN 'table ' WHEN 'i' THEN 'index ' ELSE relkind::text END
               || relname
        FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION
        SELECT 'definition ' || indexdef FROM pg_indexes
        WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        UNION
        SELECT concat_ws(' ', 'column', table_name, column_name, data_type, udt_name,
                         character_maximum_length, column_default, is_nullable)
        FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version'
        UNION
        SELECT 'constraint ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND conname NOT LIKE 'alembic%'
        UNION
        SELECT 'enum ' || typname || ' ' || enumlabel || ' ' || enumsortorder
        FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
        """,
    )
