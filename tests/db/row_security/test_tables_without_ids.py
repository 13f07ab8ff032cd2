"""Tests that idempotency keys and change positions are private."""

from functools import partial

import psycopg2
import pytest
import sqlalchemy as sa

from db import idempotency_keys
from db.change_log import change_positions as numbering
from db.engine import Connection
from db.engine.statement import Statement
from db.models import change_positions
from tests.db.row_security.owners import RowOwner, as_table_owner


def test_idempotency_keys_are_private_but_expired_keys_of_all_users_are_deleted(
    connection: Connection, user: str
) -> None:
    other = user + "'s friend"
    store = partial(
        idempotency_keys.insert,
        connection,
        fingerprint=bytes(32),
        status=201,
        headers={},
        body=b"{}",
        conversation_id=None,
    )
    for each in (user, other):
        for key in ("old", "new"):
            store(user_id=each, key=key)
    where = "WHERE user_id = ANY (%(it)s)"
    owners = Statement(sa.text("SELECT array_agg(user_id || ' ' || key) FROM idempotency_keys"))
    change = Statement(sa.text("UPDATE idempotency_keys SET status = 299"))
    delete = Statement(sa.text("DELETE FROM idempotency_keys WHERE key = 'new'"))

    found = owners.scalar(connection, {"acting_user": user})
    counts = [each.rowcount(connection, {"acting_user": user}) for each in (change, delete)]
    none = owners.scalar(connection, {}), delete.rowcount(connection, {})
    store(user_id=user, key="another")
    expire = f"UPDATE idempotency_keys SET expires_at = '2026-01-01Z' {where} AND key = 'old'"
    connection.execute(expire, {"it": [user, other]})
    while idempotency_keys.delete_expired(connection, most=2):
        pass

    assert sorted(found) == [f"{user} new", f"{user} old"]
    assert counts == [2, 1]
    assert none == (None, 0)
    assert as_table_owner(
        connection,
        f"SELECT array_agg(user_id || ' ' || key ORDER BY key) FROM idempotency_keys {where}",
        [user, other],
    ) == [f"{user} another", f"{other} new"]


def test_change_positions_are_private(
    connection: Connection, alice: RowOwner, bob: RowOwner
) -> None:
    for user, _ in (alice, bob):
        numbering.number_all(connection, user_id=user)
    owners = Statement(sa.select(sa.func.array_agg(change_positions.c.user_id)))
    advance = Statement(sa.update(change_positions).values(last_sequence=9))
    delete = Statement(sa.delete(change_positions))

    found = [owners.scalar(connection, {"acting_user": user}) for user in (alice.user, "")]
    counts = [each.rowcount(connection, {"acting_user": alice.user}) for each in (advance, delete)]
    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        Statement(sa.insert(change_positions), columns=("user_id",)).rowcount(
            connection, {"user_id": alice.user, "acting_user": bob.user}
        )

    assert found == [[alice.user], None]
    assert counts == [1, 1]
    assert numbering.number_all(connection, user_id=bob.user) == 1
