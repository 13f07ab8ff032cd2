"""Tests that users cannot insert rows of other users, or rows that refer to them."""

from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert

from db import engine, errors, models
from db.engine import Connection
from db.engine.statement import Statement
from db.models import changes, chat_settings, conversations, runs
from tests.db.row_security.owners import OWNER_COLUMNS, TABLES, RowOwner, Rows, as_table_owner

INSERTS: dict[str, tuple[Table, Callable[[Rows], dict[str, Any]]]] = {
    "changes": (changes, lambda ids: {"type": "run.updated"}),
    "conversations": (conversations, lambda ids: {"title": "T"}),
    "runs": (runs, lambda ids: {"agent_id": "a"}),
    "chat_attachments": (
        models.chat_attachments,
        lambda ids: {"filename": "a.pdf", "file_url": "s3://a"},
    ),
    "chat_settings": (chat_settings, lambda ids: {"model": "m"}),
    "shares": (
        models.shares,
        lambda ids: {
            "conversation_id": ids["conversations"],
            "member_id": "another",
            "role": "viewer",
        },
    ),
    "links": (
        models.links,
        lambda ids: {
            "conversation_id": ids["conversations"],
            "secret_hash": "hash",
            "with_attachments": False,
        },
    ),
    "messages": (
        models.messages,
        lambda ids: {
            "conversation_id": ids["conversations"],
            "position": 9,
            "role": "user",
            "content": "Hello",
        },
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_insert_for_another_user_is_refused(
    connection: Connection, alice: RowOwner, bob: RowOwner, name: str
) -> None:
    table, columns = INSERTS[name]
    row = {"id": models.new_id(), OWNER_COLUMNS[name]: bob.user, **columns(bob.ids)}
    if name == "chat_settings":
        row[OWNER_COLUMNS[name]] = bob.user + "'s other"
    # Not of all users: a server may delete rows meanwhile.
    count = f"SELECT count(*) FROM {name} WHERE {OWNER_COLUMNS[name]} LIKE %(it)s || '%%'"
    before = as_table_owner(connection, count, bob.user)

    # Not Unavailable: a retry would not help.
    with pytest.raises(errors.Refused, match="SQLSTATE 42501"), engine.translated():
        Statement(sa.insert(table), columns=row).rowcount(
            connection, {**row, "acting_user": alice.user}
        )

    assert as_table_owner(connection, count, bob.user) == before == 1


def test_upsert_cannot_change_another_users_row(
    connection: Connection, alice: RowOwner, bob: RowOwner
) -> None:
    row = {"id": models.new_id(), "user_id": bob.user, "acting_user": alice.user}
    new = insert(chat_settings)
    upsert = new.on_conflict_do_update(index_elements=["user_id"], set_={"model": "hers"})

    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        Statement(upsert, columns=("id", "user_id")).rowcount(connection, row)

    query = "SELECT model FROM chat_settings WHERE id = %(it)s"
    assert as_table_owner(connection, query, bob.ids["chat_settings"]) is None


def test_message_for_another_users_conversation_is_refused(
    connection: Connection, alice: RowOwner, bob: RowOwner
) -> None:
    row = {
        "id": models.new_id(),
        "user_id": alice.user,
        **INSERTS["messages"][1](bob.ids),
        "acting_user": alice.user,
    }
    insert_message_anywhere = Statement(
        sa.insert(models.messages), columns=row.keys() - {"acting_user"}
    )

    with pytest.raises(psycopg2.IntegrityError, match="foreign key"):
        insert_message_anywhere.rowcount(connection, row)
