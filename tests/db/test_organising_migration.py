"""Migration 0011 stores the agents of all messages while other sessions write."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from alembic import command
from psycopg2.extensions import cursor

from tests.db.migrating import alembic, ask
from tests.processes import wait_until

WAITING = """
SELECT relation::regclass::text FROM pg_locks JOIN pg_database AS d ON d.oid = database
WHERE NOT granted AND datname = current_database()
"""
STORED = "SELECT agent_id FROM conversation_agents"


def insert_conversation(sql: cursor) -> str:
    sql.execute("INSERT INTO conversations (title, user_id) VALUES ('T', 'alice') RETURNING id")
    row = sql.fetchone()
    assert row is not None
    return str(row[0])


def post(sql: cursor, conversation_id: str, decision: Any) -> None:
    """Store a message with a routing decision, like a server of the version before."""
    sql.execute(
        "UPDATE conversations SET last_position = last_position + 1, updated_at = now()"
        " WHERE id = %s RETURNING last_position",
        (conversation_id,),
    )
    row = sql.fetchone()
    assert row is not None
    sql.execute(
        "INSERT INTO messages (conversation_id, user_id, position, role, content, routing_decision)"
        " VALUES (%s, 'alice', %s, 'assistant', 'Hello', %s)",
        (conversation_id, row[0], json.dumps(decision)),
    )


@pytest.fixture
def before(url: str) -> str:
    command.upgrade(alembic(url), "0010")
    return url


def test_upgrade_stores_agents_of_all_shapes(before: str) -> None:
    shapes = [
        {"selected_agents": ["text", {"id": "id", "name": "name"}, {"id": 1}, 2, None, ["list"]]},
        {"routing_decision": {"selected_agents": ["nested"]}},
        {"selected_agents": None, "routing_decision": None, "confidence": 1e308},
        {"selected_agents": {"not": "a list"}, "routing_decision": ["not an object"]},
        {"selected_agents": ["", "x" * 256, "text"]},
        {"thoughts": [], "routing_decision": {"selected_agents": [""] * 999 + ["last", "next"]}},
    ]
    with closing(psycopg2.connect(before)) as writer, writer.cursor() as sql:
        conversation_id = insert_conversation(sql)
        for shape in shapes:
            post(sql, conversation_id, shape)
        sql.execute("UPDATE messages SET created_at = now() - interval '1 year'")
        sql.execute("UPDATE conversations SET updated_at = now() - interval '1 year'")
        writer.commit()

    command.upgrade(alembic(before), "0011")

    assert ask(before, STORED) == {"text", "id", "name", "nested", "last"}


def hold(url: str, table: str, act: Callable[[cursor], None]) -> None:
    """Migrate; call `act` in a transaction that starts before, once it waits for the table."""
    with closing(psycopg2.connect(url)) as writer, writer.cursor() as sql:
        sql.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(1) as threads:
            migration = threads.submit(command.upgrade, alembic(url), "0011")
            try:
                wait_until(lambda: table in ask(url, WAITING))
                act(sql)
                writer.commit()
            finally:
                writer.rollback()
            migration.result(30)


def test_upgrade_lets_others_write_while_it_reads_messages(before: str) -> None:
    def write(sql: cursor) -> None:
        with closing(psycopg2.connect(before)) as other, other.cursor() as other_sql:
            other_sql.execute("SET lock_timeout = '1s'")
            insert_conversation(other_sql)
            other.commit()
        post(sql, insert_conversation(sql), {"selected_agents": ["meanwhile"]})

    hold(before, "messages", write)

    assert ask(before, STORED) == {"meanwhile"}


def test_upgrade_stores_agents_of_transactions_that_end_after_it_has_read_messages(
    before: str,
) -> None:
    with closing(psycopg2.connect(before)) as writer, writer.cursor() as sql:
        kept, deleted = insert_conversation(sql), insert_conversation(sql)
        post(sql, kept, {"selected_agents": ["old"]})
        post(sql, deleted, {"selected_agents": ["deleted"]})
        writer.commit()

    def write(sql: cursor) -> None:
        post(sql, kept, {"selected_agents": ["old", "new"]})
        sql.execute("DELETE FROM conversations WHERE id = %s", (deleted,))

    hold(before, "changes", write)

    assert ask(before, STORED) == {"old", "new"}
