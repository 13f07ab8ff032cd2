"""Tests which columns the role that finds the rows of all users can read."""

import psycopg2
import sqlalchemy as sa

from db.engine import Connection, roles
from db.engine.statement import Statement
from tests.db.row_security.owners import PROTECTED, RowOwner

# The columns that the role can read.
READABLE = {
    "change_positions": {"user_id", "last_sequence"},
    "changes": {"id", "user_id", "sequence"},
    "chat_attachments": {"id", "user_id"},
    "conversation_agents": {"conversation_id", "user_id", "agent_id"},
    "conversations": {
        *("id", "user_id", "archived", "source", "agent_id", "updated_at"),
        *("last_position", "indexed_position"),
    },
    "links": {"id", "user_id", "expires_at"},
    # The words are hashes.
    "message_terms": {"conversation_id", "message_id", "user_id", "role", "created_at", "terms"},
    "messages": {"id", "user_id", "conversation_id"},
    "run_leases": {"run_id", "user_id", "expires_at"},
    "run_queue": {"agent_id"},
    "runs": {
        *("id", "created_by", "last_sequence", "status", "has_transient", "finished_at"),
        *("conversation_id", "created_at", "waits"),
    },
}


def test_role_that_finds_rows_reads_only_ids_owners_and_positions(
    connection: Connection, alice: RowOwner, bob: RowOwner
) -> None:
    refused = []
    for table in PROTECTED.values():
        for column in table.c:
            try:
                Statement(sa.select(column).limit(1), role=roles.EXISTENCE).row(connection, {})
            except psycopg2.ProgrammingError:
                refused.append(f"{table.name}.{column.name}")

    assert refused == [
        f"{table.name}.{column.name}"
        for table in PROTECTED.values()
        for column in table.c
        if column.name not in READABLE.get(table.name, ())
    ]
