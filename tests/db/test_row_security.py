"""Tests that PostgreSQL shows a statement only the rows of its acting user.

Like a query that forgets the owner, these statements have no condition on it.
"""

import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy import Table
from sqlalchemy.dialects.postgresql import insert

from db import access, engine, errors, idempotency_keys, models
from db.branches.pages import Selection
from db.change_log import change_positions as numbering
from db.engine import Connection, roles
from db.engine.statement import Statement
from db.messages import message_insertion, messages
from db.models import Base, change_positions, changes, chat_settings, conversations, runs
from db.publishing import links
from tests.db.rows import (
    insert_attachment,
    insert_conversation,
    insert_message,
    insert_run,
    link,
    message,
    share,
    value,
)

# Token buckets contain no user data, and the sweep has no acting user.
PROTECTED: dict[str, Table] = {
    name: table for name, table in Base.metadata.tables.items() if name != "rate_limits"
}
# The tables with an id; idempotency keys and change positions have their own tests below.
TABLES = {name: table for name, table in PROTECTED.items() if "id" in table.c}
OWNER = {name: models.OWNERS[name].name for name in TABLES}
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

# The columns that the role for all users' rows can read.
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

Rows = dict[str, str]
"""The id of a user's only row in each table."""


@pytest.fixture
def alice(connection: Connection) -> tuple[str, Rows]:
    return new_user(connection, "alice")


@pytest.fixture
def bob(connection: Connection) -> tuple[str, Rows]:
    return new_user(connection, "bob")


def new_user(connection: Connection, name: str) -> tuple[str, Rows]:
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
        "links": publish(connection, conversation, user),
    }
    only = "user_id = %(it)s AND type <> 'run.created'"
    as_owner(
        connection,
        f"WITH other AS (DELETE FROM changes WHERE {only}) SELECT 1",
        user,
    )
    ids["changes"] = as_owner(connection, "SELECT id FROM changes WHERE user_id = %(it)s", user)
    return user, ids


def publish(connection: Connection, conversation: str, user: str) -> str:
    made = links.insert(connection, conversation_id=conversation, user_id=user, **link(user))
    link_id: str = json.loads(made)["id"]
    return link_id


def seen(connection: Connection, table: Table, **values: Any) -> list[str]:
    ids = sa.func.array_agg(sa.cast(table.c.id, sa.Text))
    found: list[str] | None = Statement(sa.select(ids)).scalar(connection, values)
    return found or []


def as_owner(connection: Connection, sql: str, it: object = None) -> Any:
    """Return the first value of a query about `it` by the tables' owner, who sees all rows."""
    return value(connection, sql, {"it": it})


@pytest.mark.parametrize("name", PROTECTED)
def test_every_table_has_a_policy(connection: Connection, name: str) -> None:
    enabled = as_owner(
        connection, "SELECT relrowsecurity FROM pg_class WHERE oid = %(it)s::regclass", name
    )
    named = as_owner(
        connection,
        "SELECT array_agg(policyname::text || ' to ' || array_to_string(roles, ',')"
        " ORDER BY policyname DESC) FROM pg_policies WHERE tablename = %(it)s",
        name,
    )

    assert enabled
    assert "request to agent_api_request" in named
    assert set(named) <= {
        "request to agent_api_request",
        "existence to agent_api_existence",
        "worker to agent_api_worker",
        "worker_run to agent_api_worker",
        "worker_branch to agent_api_worker",
        "member_branch to agent_api_member",
        *(f"worker_{act} to agent_api_worker" for act in ("lock", "add", "remove")),
        "member_organise to agent_api_member",
        "public to agent_api_public",
        "member to agent_api_member",
        "member_select to agent_api_member",
        "member_insert to agent_api_member",
        "member_update to agent_api_member",
        "member_delete to agent_api_member",
        "member_rate to agent_api_member",
    }


def test_policies_are_permissive(connection: Connection) -> None:
    """Citus creates each policy on the nodes without AS RESTRICTIVE, so that it gives rights."""
    restrictive = as_owner(
        connection,
        "SELECT array_agg(tablename || ': ' || policyname) FROM pg_policies"
        " WHERE permissive = 'RESTRICTIVE'",
    )

    assert restrictive is None


@pytest.mark.parametrize("name", TABLES)
def test_select_returns_only_the_users_rows(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows], name: str
) -> None:
    user, ids = alice

    assert seen(connection, TABLES[name], acting_user=user) == [ids[name]]
    assert bob[1][name] not in seen(connection, TABLES[name], acting_user=user)


@pytest.mark.parametrize("name", TABLES)
def test_statement_without_an_acting_user_affects_no_rows(
    connection: Connection, alice: tuple[str, Rows], name: str
) -> None:
    table = TABLES[name]
    change = Statement(sa.update(table).values({CHANGED[name]: "changed"}))

    assert seen(connection, table) == []
    assert seen(connection, table, acting_user="") == []
    assert change.rowcount(connection, {}) == 0
    assert Statement(sa.delete(table)).rowcount(connection, {}) == 0
    assert (
        as_owner(connection, f"SELECT count(*) FROM {name} WHERE id = %(it)s", alice[1][name]) == 1
    )


@pytest.mark.parametrize("name", TABLES)
def test_update_changes_only_the_users_rows(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows], name: str
) -> None:
    column = CHANGED[name]
    change = Statement(sa.update(TABLES[name]).values({column: "changed"}))

    changed = change.rowcount(connection, {"acting_user": alice[0]})

    query = f"SELECT {column} FROM {name} WHERE id = %(it)s"
    assert changed == 1
    assert as_owner(connection, query, alice[1][name]) == "changed"
    assert as_owner(connection, query, bob[1][name]) != "changed"


@pytest.mark.parametrize("name", TABLES)
def test_delete_deletes_only_the_users_rows(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows], name: str
) -> None:
    deleted = Statement(sa.delete(TABLES[name])).rowcount(connection, {"acting_user": alice[0]})

    query = f"SELECT count(*) FROM {name} WHERE id = %(it)s"
    assert deleted == 1
    assert as_owner(connection, query, alice[1][name]) == 0
    assert as_owner(connection, query, bob[1][name]) == 1


@pytest.mark.parametrize("name", TABLES)
def test_owner_of_a_row_cannot_change(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows], name: str
) -> None:
    user, ids = alice
    give = Statement(sa.update(TABLES[name]).values({OWNER[name]: bob[0] + "'s new"}))

    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        give.rowcount(connection, {"acting_user": user})

    query = f"SELECT {OWNER[name]} FROM {name} WHERE id = %(it)s"
    assert as_owner(connection, query, ids[name]) == user


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
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows], name: str
) -> None:
    table, columns = INSERTS[name]
    row = {"id": models.new_id(), OWNER[name]: bob[0], **columns(bob[1])}
    if name == "chat_settings":
        row[OWNER[name]] = bob[0] + "'s other"
    before = as_owner(connection, f"SELECT count(*) FROM {name}")

    # Not Unavailable: a retry would not help.
    with pytest.raises(errors.Refused, match="SQLSTATE 42501"), engine.translated():
        Statement(sa.insert(table), columns=row).rowcount(
            connection, {**row, "acting_user": alice[0]}
        )

    assert as_owner(connection, f"SELECT count(*) FROM {name}") == before


def test_upsert_cannot_change_another_users_row(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows]
) -> None:
    row = {"id": models.new_id(), "user_id": bob[0], "acting_user": alice[0]}
    new = insert(chat_settings)
    upsert = new.on_conflict_do_update(index_elements=["user_id"], set_={"model": "hers"})

    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        Statement(upsert, columns=("id", "user_id")).rowcount(connection, row)


def test_message_for_another_users_conversation_is_refused(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows]
) -> None:
    row = {
        "id": models.new_id(),
        "user_id": alice[0],
        **INSERTS["messages"][1](bob[1]),
        "acting_user": alice[0],
    }
    insert_message_anywhere = Statement(
        sa.insert(models.messages), columns=row.keys() - {"acting_user"}
    )

    with pytest.raises(psycopg2.IntegrityError, match="foreign key"):
        insert_message_anywhere.rowcount(connection, row)

    query = "SELECT model FROM chat_settings WHERE id = %(it)s"
    assert as_owner(connection, query, bob[1]["chat_settings"]) is None


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
    of_both = "FROM idempotency_keys WHERE user_id = ANY (%(it)s)"
    expired = "expires_at = '2026-01-01Z'"
    connection.execute(
        f"UPDATE idempotency_keys SET {expired} WHERE user_id = ANY (%(it)s) AND key = 'old'",
        {"it": [user, other]},
    )
    owners = Statement(sa.text("SELECT array_agg(user_id || ' ' || key) FROM idempotency_keys"))
    change = Statement(sa.text("UPDATE idempotency_keys SET status = 299"))
    delete = Statement(sa.text("DELETE FROM idempotency_keys WHERE key = 'new'"))

    found = owners.scalar(connection, {"acting_user": user})
    counts = [each.rowcount(connection, {"acting_user": user}) for each in (change, delete)]
    none = owners.scalar(connection, {}), delete.rowcount(connection, {})
    store(user_id=user, key="another")
    while idempotency_keys.delete_expired(connection, most=2):
        pass

    assert sorted(found) == [f"{user} new", f"{user} old"]
    assert counts == [2, 1]
    assert none == (None, 0)
    assert as_owner(
        connection, f"SELECT array_agg(user_id || ' ' || key ORDER BY key) {of_both}", [user, other]
    ) == [f"{user} another", f"{other} new"]


def test_change_positions_are_private(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows]
) -> None:
    for user, _ in (alice, bob):
        numbering.number_all(connection, user_id=user)
    owners = Statement(sa.select(sa.func.array_agg(change_positions.c.user_id)))
    advance = Statement(sa.update(change_positions).values(last_sequence=9))
    delete = Statement(sa.delete(change_positions))

    found = [owners.scalar(connection, {"acting_user": user}) for user in (alice[0], "")]
    counts = [each.rowcount(connection, {"acting_user": alice[0]}) for each in (advance, delete)]
    with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
        Statement(sa.insert(change_positions), columns=("user_id",)).rowcount(
            connection, {"user_id": alice[0], "acting_user": bob[0]}
        )

    assert found == [[alice[0]], None]
    assert counts == [1, 1]
    assert numbering.number_all(connection, user_id=bob[0]) == 1


def test_role_that_finds_rows_reads_only_ids_owners_and_positions(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows]
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


@pytest.mark.parametrize("shared", [True, False])
def test_lock_finds_only_the_users_rows(
    connection: Connection, alice: tuple[str, Rows], bob: tuple[str, Rows], shared: bool
) -> None:
    select = sa.select(runs.c.id).where(runs.c.id == sa.bindparam("this", type_=models.Id))
    locking = Statement(select.with_for_update(read=shared, key_share=shared))

    own, others = (
        locking.row(connection, {"this": ids["runs"], "acting_user": alice[0]})
        for ids in (alice[1], bob[1])
    )

    assert own is not None
    assert others is None


def test_query_without_its_access_rule_finds_no_other_users_rows(
    connection: Connection,
    alice: tuple[str, Rows],
    bob: tuple[str, Rows],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(access, "CONVERSATION", sa.true())
    monkeypatch.setattr(access, "RUN", sa.true())
    monkeypatch.setattr(
        messages, "_this_conversation", models.conversations.c.id == messages._conversation
    )
    monkeypatch.setattr(message_insertion, "_this_conversation", messages._this_conversation)
    insert_message_anywhere = message_insertion.append()
    any_page = messages._select_page.__wrapped__(Selection(), or_membership=True)
    written = message(bob[1]["conversations"], alice[0])
    absent = dict.fromkeys((*models.messages.c.keys(), "title"))
    values = {f"new_{name}": value for name, value in (absent | written).items()} | {
        "of_conversation": bob[1]["conversations"],
        "new_id": models.new_id(),
        "change_id": models.new_id(),
        "preview": "Hello",
        "is_read": True,
        "new_terms": "",
    }

    for user, found in ((alice[0], False), (bob[0], True)):
        values |= {"acting_user": user}
        page = any_page.read(connection, values, limit=10, offset=0)
        assert (page is not None) is found
        assert (insert_message_anywhere.row(connection, values) is not None) is found
