"""What a role sees of a table, and which statements it is refused."""

from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy import Table

from db.engine import Connection
from db.engine.statement import Statement

BY_POLICY = "row-level security"
"""What PostgreSQL says if a policy refuses a row."""

ID = {
    **dict.fromkeys(("run_events", "run_leases", "run_queue"), "run_id"),
    "memberships": "user_id",
    "membership_tags": "conversation_id",
    "message_versions": "message_id",
    "shares": "member_id",
}
"""The columns that tell the rows of a test apart, if not `id`."""


def seen(connection: Connection, table: Table, **values: Any) -> set[str]:
    """Return the ids of the rows that the current role sees as the acting user."""
    ids = sa.cast(table.c[ID.get(table.name, "id")], sa.Text)
    found = Statement(sa.select(sa.func.array_agg(ids.distinct()))).scalar(connection, values)
    return set(found or [])


def assert_refused(
    connection: Connection,
    statement: Statement,
    values: dict[str, Any],
    message: str = rf"{BY_POLICY}|permission denied",
) -> None:
    """Fail unless PostgreSQL refuses the statement with a message that matches."""
    with pytest.raises(psycopg2.ProgrammingError, match=message):
        statement.rowcount(connection, values)
