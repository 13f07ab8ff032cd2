"""Creates users who own a row of each table, and reads rows as the owner of the tables."""

import json
import uuid
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import Table

from db import models
from db.engine import Connection
from db.engine.statement import Statement
from db.models import Base, chat_settings
from db.publishing import links
from tests.db.rows import (
    insert_attachment,
    insert_conversation,
    insert_message,
    insert_run,
    link,
    share,
    value,
)

# Token buckets contain no user data, and the sweep has no acting user.
PROTECTED: dict[str, Table] = {
    name: table for name, table in Base.metadata.tables.items() if name != "rate_limits"
}
# test_tables_without_ids.py tests idempotency keys and change positions.
TABLES = {name: table for name, table in PROTECTED.items() if "id" in table.c}
OWNER_COLUMNS = {name: models.OWNERS[name].name for name in TABLES}

Rows = dict[str, str]
"""The id of a user's only row in each table."""


class RowOwner(NamedTuple):
    """A user with one row in each table that has ids."""

    user: str
    ids: Rows


def new_owner(connection: Connection, name: str) -> RowOwner:
    """Create a user whose id starts with the name."""
    user = f"{name}-{uuid.uuid4()}"
    conversation = insert_conversation(connection, user)
    settings = Statement(sa.insert(chat_settings), columns=("id", "user_id"))
    own = {"id": models.new_id(), "user_id": user, "acting_user": user}
    settings.rowcount(connection, own)
    ids = {
        "conversations": conversation,
        "messages": insert_message(connection, conversation, user),
        "runs": insert_run(connection, user),
        "chat_settings": own["id"],
        "shares": share(connection, conversation, user)["id"],
        "chat_attachments": insert_attachment(connection, user),
        "links": _publish(connection, conversation, user),
    }
    only = "user_id = %(it)s AND type <> 'run.created'"
    as_table_owner(
        connection,
        f"WITH other AS (DELETE FROM changes WHERE {only}) SELECT 1",
        user,
    )
    ids["changes"] = as_table_owner(
        connection, "SELECT id FROM changes WHERE user_id = %(it)s", user
    )
    return RowOwner(user, ids)


def _publish(connection: Connection, conversation: str, user: str) -> str:
    made = links.insert(connection, conversation_id=conversation, user_id=user, **link(user))
    link_id: str = json.loads(made)["id"]
    return link_id


def select_ids(connection: Connection, table: Table, **values: Any) -> list[str]:
    """Return the ids of all rows that the acting user sees."""
    ids = sa.func.array_agg(sa.cast(table.c.id, sa.Text))
    found: list[str] | None = Statement(sa.select(ids)).scalar(connection, values)
    return found or []


def as_table_owner(connection: Connection, sql: str, it: object = None) -> Any:
    """Return the first value of a query about `it` by the tables' owner, who sees all rows."""
    return value(connection, sql, {"it": it})
