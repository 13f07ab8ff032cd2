"""Tests of the migrations: upgrades, downgrades, and the commands of Alembic."""

from contextlib import closing

import psycopg2
import pytest
from alembic import command

import migrations
from db import schema
from tests.db.migrating import REVISIONS, alembic, ask, snapshot

UNREACHABLE = "postgresql://postgres@127.0.0.1:1/none"


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
