"""Tests that statements find, change, lock and delete only the user's own rows."""

import psycopg2
import pytest
import sqlalchemy as sa

from db import models
from db.engine import Connection
from db.engine.statement import Statement
from db.models import runs
from tests.db.row_security.owners import OWNER_COLUMNS, TABLES, RowOwner, as_table_owner, select_ids

# A column of each table that can change without violating a constraint.
CHANGED = {
    "changes": "type",
    "chat_attachments": "filename",
    "chat_settings": "model",
    "conversations": "model",
    "links": "secret_hash",
    "messages": "content",
    "runs": "error",
    "shares": "member_id",
}


@pytest.mark.parametrize("name", TABLES)
def test_select_returns_only_the_users_rows(
    connection: Connection, alice: RowOwner, bob: RowOwner, name: str
) -> None:
    user, ids = alice

    assert select_ids(connection, TABLES[name], acting_user=user) == [ids[name]]
    assert bob.ids[name] not in select_ids(connection, TABLES[name], acting_user=user)


@pytest.mark.parametrize("name", TABLES)
def test_statement_without_an_acting_user_affects_no_rows(
    connection: Connection, alice: RowOwner, name: str
) -> None:
    table = TABLES[name]
    change = Statement(sa.update(table).values({CHANGED[name]: "changed"}))

    assert select_ids(connection, table) == []
    assert select_ids(connection, table, acting_user="") == []
    assert change.rowcount(connection, {}) == 0
    assert Statement(sa.delete(table)).rowcount(connection, {}) == 0
    assert (
        as_table_owner(
            connection, f"SELECT count(*) FROM {name} WHERE id = %(it)s", alice.ids[name]
        )
        == 1
    )


@pytest.mark.parametrize("name", TABLES)
def test_update_changes_only_the_users_rows(
    connection: Connection, alice: RowOwner, bob: RowOwner, name: str
) -> None:
    column = CHANGED[name]
    change = Statement(sa.update(TABLES[name]).values({column: "changed"}))

    changed = change.rowcount(connection, {"acting_user": alice.user})

    query = f"SELECT {column} FROM {name} WHERE id = %(it)s"
    assert changed == 1
    assert as_table_owner(connection, query, alice.ids[name]) == "changed"
    assert as_table_owner(connection, query, bob.ids[name]) != "changed"


@pytest.mark.parametrize("name", TABLES)
def test_delete_deletes_only_the_users_rows(
    connection: Connection, alice: RowOwner, bob: RowOwner, name: str
) -> None:
    deleted = Statement(sa.delete(TABLES[name])).rowcount(connection, {"acting_user": alice.user})

    query = f"SELECT count(*) FROM {name} WHERE id = %(it)s"
    assert deleted == 1
    assert as_table_owner(connection, query, alice.ids[name]) == 0
    assert as_table_owner(connection, query, bob.ids[name]) == 1


@pytest.mark.parametrize("name", TABLES)
def test_owner_of_a_row_cannot_change(
    connection: Connection, alice: RowOwner, bob: RowOwner, name: str
) -> None:
    user, ids = alice
    give = Statement(sa.update(TABLES[name]).values({OWNER_COLUMNS[name]: bob.user + "'s new"}))

    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        give.rowcount(connection, {"acting_user": user})

    query = f"SELECT {OWNER_COLUMNS[name]} FROM {name} WHERE id = %(it)s"
    assert as_table_owner(connection, query, ids[name]) == user


@pytest.mark.parametrize("shared", [True, False])
def test_lock_finds_only_the_users_rows(
    connection: Connection, alice: RowOwner, bob: RowOwner, shared: bool
) -> None:
    select = sa.select(runs.c.id).where(runs.c.id == sa.bindparam("this", type_=models.Id))
    locking = Statement(select.with_for_update(read=shared, key_share=shared))

    own, others = (
        locking.row(connection, {"this": ids["runs"], "acting_user": alice.user})
        for ids in (alice.ids, bob.ids)
    )

    assert own is not None
    assert others is None
