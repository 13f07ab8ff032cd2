"""Tests of the rights of the two roles that statements run as."""

import psycopg2
import pytest
import sqlalchemy as sa

from db.engine import Connection, roles
from db.engine.statement import Statement
from tests.db.rows import insert_message


@pytest.mark.parametrize("table", ["conversations", "messages", "runs"])
def test_existence_role_reads_only_ids_and_owners(
    connection: Connection, user: str, conversation_id: str, run_id: str, table: str
) -> None:
    message_id = insert_message(connection, conversation_id, user)
    found = {"conversations": conversation_id, "messages": message_id, "runs": run_id}
    ids = sa.text(f"SELECT array_agg(id::text) FROM {table}")
    whole = sa.text(f"SELECT t::text FROM {table} AS t LIMIT 1")

    assert found[table] in Statement(ids, role=roles.EXISTENCE).scalar(connection, {})
    for forbidden in (whole, sa.text(f"DELETE FROM {table}")):
        with pytest.raises(psycopg2.ProgrammingError, match="permission denied"):
            Statement(forbidden, role=roles.EXISTENCE).rowcount(connection, {})


@pytest.mark.parametrize(
    "forbidden",
    [
        "TRUNCATE messages",
        "DROP TABLE runs",
        "CREATE TABLE own (id int)",
        "ALTER TABLE conversations DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY all_rows ON runs USING (true)",
        "TABLE alembic_version",
        "SELECT pg_read_file('PG_VERSION')",
        "COPY runs TO PROGRAM 'cat'",
    ],
)
def test_request_role_may_only_read_and_write_rows(connection: Connection, forbidden: str) -> None:
    with pytest.raises(
        psycopg2.ProgrammingError, match=r"permission denied|must be (the )?owner|must be superuser"
    ):
        Statement(sa.text(forbidden), prepare=False).rowcount(connection, {})
