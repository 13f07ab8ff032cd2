"""Tests that PostgreSQL shows a member only one conversation of its owner.

Like queries that forget their conditions, these statements have none.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from agent_api.middleware import membership
from db import access, errors, idempotency_keys, models
from db.conversations import conversations
from db.engine import Connection, MemberGrant, acting_under, roles
from db.engine.statement import Statement
from db.messages import message_edits, messages
from db.models import Base
from db.sharing import memberships, telling
from tests.db.rows import (
    answer,
    insert_conversation,
    insert_message,
    insert_run,
    message,
    share,
    value,
)
from tests.db.seeing import seen

NOTHING = "00000000-0000-0000-0000-000000000000"
VISIBLE = (
    *("conversations", "messages", "message_versions", "runs", "run_events", "shares"),
    *("memberships", "membership_tags"),
)
PURPOSES = (access.READ, access.WRITE, access.LEAVE, access.RATE)
# test_search_roles.py tests the terms of messages.
OTHERS = sorted(
    Base.metadata.tables.keys() - {*VISIBLE, "changes", "idempotency_keys", "message_terms"}
)


def edit(connection: Connection, message_id: str, user: str) -> None:
    message_edits.update(
        connection, message_id=message_id, user_id=user, changes={"content": "Edited"}
    )


class Owner:
    """A user with two conversations.

    Each has an edited message, a run with an event, and two members.
    """

    def __init__(self, connection: Connection, user: str) -> None:
        self.user = user
        self.conversation, self.other_conversation = (
            insert_conversation(connection, user) for _ in range(2)
        )
        self.message, self.other_message = (
            insert_message(connection, each, user)
            for each in (self.conversation, self.other_conversation)
        )
        for each in (self.message, self.other_message):
            edit(connection, each, user)
        self.run, self.other_run = (
            insert_run(
                connection, user, conversation_id=each, status="running", input={"secret": 1}
            )
            for each in (self.conversation, self.other_conversation)
        )
        self.later_run = insert_run(
            connection, user, conversation_id=self.conversation, status="running"
        )
        self.member, self.other_member = f"m-{user}", f"n-{user}"
        for each in (self.conversation, self.other_conversation):
            for member in (self.member, self.other_member):
                share(connection, each, user, member, "editor")
            with acting_under(self.grant()._replace(conversation_id=each)):
                conversations.update(
                    connection, conversation_id=each, user_id=user, changes={"tags": ["t"]}
                )

    def grant(self, purpose: str = access.READ) -> MemberGrant:
        return MemberGrant(self.user, self.conversation, self.member, "editor", purpose, self.run)


@pytest.fixture
def alice(connection: Connection, user: str) -> Owner:
    return Owner(connection, user)


@pytest.fixture
def bob(connection: Connection) -> Owner:
    return Owner(connection, f"bob-{uuid.uuid4()}")


@pytest.fixture
def owner(alice: Owner, bob: Owner) -> Iterator[dict[str, str]]:
    """Read as a member of Alice's conversation; return the acting user."""
    with acting_under(alice.grant()):
        yield {"acting_user": alice.user}


def refused(statement: Statement, connection: Connection, values: dict[str, Any]) -> None:
    with pytest.raises(psycopg2.ProgrammingError, match=r"row-level security|permission denied"):
        statement.rowcount(connection, values)


def test_member_sees_the_conversation_only(
    connection: Connection, alice: Owner, owner: dict[str, str]
) -> None:
    found = {name: seen(connection, Base.metadata.tables[name], **owner) for name in VISIBLE}

    assert found == {
        "conversations": {alice.conversation},
        "messages": {alice.message},
        "message_versions": {alice.message},
        "runs": {alice.run, alice.later_run},
        "run_events": {alice.run},
        "shares": {alice.member, alice.other_member},
        "memberships": set(),  # the owner is a member of nothing
        "membership_tags": set(),
    }
    as_member = {"acting_user": alice.member}
    assert seen(connection, models.memberships, **as_member) == {alice.member}
    assert seen(connection, models.membership_tags, **as_member) == {alice.conversation}


@pytest.mark.parametrize("name", VISIBLE)
@pytest.mark.parametrize("acting_user", ["bob", ""])
def test_member_sees_nothing_of_another_user(
    connection: Connection, bob: Owner, owner: dict[str, str], name: str, acting_user: str
) -> None:
    user = bob.user if acting_user else ""
    mine = {bob.conversation, bob.message, bob.run, bob.member}

    assert not seen(connection, Base.metadata.tables[name], acting_user=user) & mine


@pytest.mark.parametrize("name", VISIBLE)
def test_member_without_a_grant_sees_nothing(
    connection: Connection, alice: Owner, name: str
) -> None:
    table = Base.metadata.tables[name]
    column = table.c["created_by" if name == "runs" else "user_id"]
    count = Statement(sa.select(sa.func.count(column)), role=roles.MEMBER)

    assert count.scalar(connection, {"acting_user": alice.user}) == 0
    assert count.scalar(connection, {}) == 0


def test_grant_for_a_list_shows_conversations_of_the_owner_and_nothing_in_them(
    connection: Connection, alice: Owner, bob: Owner
) -> None:
    both = [alice.conversation, alice.other_conversation]
    ids = ",".join([*both, bob.conversation])
    grant = alice.grant()._replace(conversation_id=ids, run_id=None)

    with acting_under(grant):
        assert seen(connection, models.conversations, acting_user=alice.user) == set(both)
        with pytest.raises(psycopg2.DataError):
            seen(connection, models.messages, acting_user=alice.user)


@pytest.mark.parametrize("name", OTHERS)
def test_member_cannot_read_other_tables(
    connection: Connection, owner: dict[str, str], name: str
) -> None:
    table = Base.metadata.tables[name]
    column = next(iter(table.c))

    with pytest.raises(psycopg2.ProgrammingError, match="permission denied"):
        Statement(sa.select(column)).rows(connection, owner)


def test_member_cannot_read_what_a_run_works_with(
    connection: Connection, owner: dict[str, str]
) -> None:
    denied = []
    for column in models.runs.c:
        try:
            Statement(sa.select(column)).rows(connection, owner)
        except psycopg2.ProgrammingError:
            denied.append(column.name)

    assert denied == ["input", "output", "error", "size", "has_transient", "waits"]


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        *(("conversations", each) for each in ("INSERT", "UPDATE", "DELETE")),
        *(("messages", each) for each in ("UPDATE", "DELETE")),
        *(("message_versions", each) for each in ("UPDATE", "DELETE")),
        *(("runs", each) for each in ("SELECT", "INSERT", "UPDATE", "DELETE")),
        *(("run_events", each) for each in ("INSERT", "UPDATE", "DELETE")),
        *(("shares", each) for each in ("INSERT", "UPDATE")),
        *(("memberships", each) for each in ("INSERT", "UPDATE")),
        *(("changes", each) for each in ("SELECT", "UPDATE", "DELETE")),
        ("idempotency_keys", "DELETE"),
    ],
)
def test_member_lacks_rights(connection: Connection, table: str, statement: str) -> None:
    query = "SELECT has_table_privilege('agent_api_member', %(table)s, %(right)s)"

    assert value(connection, query, {"table": table, "right": statement}) is False


@pytest.mark.parametrize("column", ["user_id", "metadata", "is_private", "model", "agent_id"])
def test_editor_cannot_change_other_properties(
    connection: Connection, alice: Owner, column: str
) -> None:
    change = Statement(sa.text(f"UPDATE conversations SET {column} = {column}"))

    with acting_under(alice.grant(access.WRITE)):
        refused(change, connection, {"acting_user": alice.user})


@pytest.mark.parametrize(("purpose", "count"), list(zip(PURPOSES, (0, 1, 1, 0), strict=True)))
def test_only_members_who_write_or_leave_change_the_conversation(
    connection: Connection, alice: Owner, purpose: str, count: int
) -> None:
    change = Statement(sa.text("UPDATE conversations SET updated_at = updated_at"))
    # Distributed tables refuse a lock without the owner.
    of_owner = models.conversations.c.user_id == sa.bindparam("acting_user")
    lock = Statement(
        sa.select(models.conversations.c.id).where(of_owner).with_for_update(key_share=True)
    )

    with acting_under(alice.grant(purpose)):
        assert change.rowcount(connection, {"acting_user": alice.user}) == count
        assert len(lock.rows(connection, {"acting_user": alice.user})) == count


def new_message(alice: Owner, **changes: Any) -> dict[str, Any]:
    row = {
        "id": models.new_id(),
        "conversation_id": alice.conversation,
        "user_id": alice.user,
        "position": 9,
        "role": "user",
        "content": "Hello",
        "run_id": None,
        "chat_attachments": None,
        "details": {"author": alice.member},
    }
    return row | changes


def test_only_editors_post_and_only_to_the_conversation(
    connection: Connection, alice: Owner, bob: Owner
) -> None:
    row = new_message(alice)
    insert = Statement(sa.insert(models.messages), columns=row)
    others: list[dict[str, Any]] = [
        {"conversation_id": alice.other_conversation},
        {"conversation_id": bob.conversation, "user_id": bob.user},
        {"run_id": alice.run},
        {"chat_attachments": [{"filename": "forged.pdf"}]},
        {"details": None},
        {"details": {"version": 1}},
        {"details": {"author": alice.other_member}},
    ]

    for purpose in (access.READ, access.LEAVE):
        with acting_under(alice.grant(purpose)):
            refused(insert, connection, row | {"acting_user": alice.user})
    with acting_under(alice.grant(access.WRITE)):
        for changes in others:
            refused(insert, connection, row | changes | {"acting_user": alice.user})
        assert insert.rowcount(connection, row | {"acting_user": alice.user}) == 1
        messages.insert(connection, **message(alice.conversation, alice.user))
        with pytest.raises(errors.Missing):
            messages.insert(connection, **message(alice.other_conversation, alice.user))
        with pytest.raises(errors.Reference):
            messages.insert(connection, **message(alice.conversation, alice.user, run_id=NOTHING))
        with pytest.raises(errors.Invalid, match="can only be sent by the owner"):
            messages.insert(
                connection, **message(alice.conversation, alice.user, attachment_ids=[NOTHING])
            )


def test_editors_change_only_what_they_have_posted(connection: Connection, alice: Owner) -> None:
    with acting_under(alice.grant(access.WRITE)):
        own = insert_message(connection, alice.conversation, alice.user)
        edit(connection, own, alice.user)
        for column in ("role", "position", "created_at", "chat_attachments", "run_id"):
            change = Statement(sa.text(f"UPDATE messages SET {column} = {column}"))
            refused(change, connection, {"acting_user": alice.user})
        with pytest.raises(errors.Denied):
            edit(connection, alice.message, alice.user)
    of_other = alice.grant(access.WRITE)._replace(member_id=alice.other_member)
    with acting_under(of_other):
        with pytest.raises(errors.Denied):
            edit(connection, own, alice.user)
        others = insert_message(connection, alice.conversation, alice.user)
    for details in (None, {"author": alice.other_member}):
        forge = Statement(sa.update(models.messages), columns=("details",))
        with acting_under(alice.grant(access.WRITE)):
            refused(forge, connection, {"acting_user": alice.user, "details": details})
    every = Statement(sa.text("UPDATE messages SET content = 'forged' RETURNING id::text"))

    for purpose, changed in ((access.READ, []), (access.LEAVE, []), (access.WRITE, [(own,)])):
        with acting_under(alice.grant(purpose)):
            assert every.rows(connection, {"acting_user": alice.user}) == changed
    with acting_under(of_other):
        assert every.rows(connection, {"acting_user": alice.user}) == [(others,)]


def test_editors_add_only_versions_that_they_have_written(
    connection: Connection, alice: Owner
) -> None:
    row = {
        "message_id": alice.message,
        "user_id": alice.user,
        "version": 3,
        "conversation_id": alice.conversation,
        "author_id": alice.member,
        "content": "forged",
        "acting_user": alice.user,
    }
    insert = Statement(sa.insert(models.message_versions), columns=row.keys() - {"acting_user"})
    others = {"message_id": alice.other_message, "conversation_id": alice.other_conversation}

    for purpose in (access.READ, access.LEAVE):
        with acting_under(alice.grant(purpose)):
            refused(insert, connection, row)
    with acting_under(alice.grant(access.WRITE)):
        for changes in ({"author_id": None}, {"author_id": alice.other_member}, others):
            refused(insert, connection, row | changes)
        assert insert.rowcount(connection, row) == 1


@pytest.mark.parametrize(("purpose", "count"), list(zip(PURPOSES, (0, 0, 1, 0), strict=True)))
def test_only_a_leaving_member_deletes_only_their_share(
    connection: Connection, alice: Owner, purpose: str, count: int
) -> None:
    of_owner = Statement(sa.delete(models.shares))
    of_member = Statement(sa.delete(models.memberships))

    with acting_under(alice.grant(purpose)):
        assert of_owner.rowcount(connection, {"acting_user": alice.user}) == count
        assert of_member.rowcount(connection, {"acting_user": alice.other_member}) == 0
        assert of_member.rowcount(connection, {"acting_user": alice.member}) == count

    left = telling.select_members(
        connection, conversation_id=alice.conversation, owner_id=alice.user
    )
    members = {alice.member, alice.other_member}
    assert left.keys() == (members - {alice.member} if count else members)
    other = memberships.select_one(
        connection, conversation_id=alice.other_conversation, member_id=alice.member
    )
    assert other is not None


@pytest.mark.parametrize(("purpose", "count"), list(zip(PURPOSES, (0, 1, 0, 0), strict=True)))
def test_only_editors_touch_the_memberships_of_the_conversation(
    connection: Connection, alice: Owner, purpose: str, count: int
) -> None:
    touch = Statement(sa.update(models.memberships).values(updated_at=sa.func.now()))
    promote = Statement(sa.update(models.memberships).values(role="editor"))

    with acting_under(alice.grant(purpose)):
        assert touch.rowcount(connection, {"acting_user": alice.other_member}) == count
        refused(promote, connection, {"acting_user": alice.member})


@pytest.mark.parametrize("purpose", PURPOSES)
def test_members_record_only_changes_of_the_conversation(
    connection: Connection, alice: Owner, purpose: str
) -> None:
    row = {
        "user_id": alice.user,
        "type": "message.created",
        "conversation_id": alice.conversation,
        "acting_user": alice.user,
    }
    insert = Statement(
        sa.text(
            "INSERT INTO changes (user_id, type, conversation_id)"
            " VALUES (:user_id, :type, :conversation_id)"
        )
    )

    with acting_under(alice.grant(purpose)):
        if purpose in (access.READ, access.RATE):
            refused(insert, connection, row)
        else:
            assert insert.rowcount(connection, row) == 1
        refused(insert, connection, row | {"conversation_id": alice.other_conversation})
        refused(insert, connection, row | {"user_id": "another"})


@pytest.mark.parametrize(("purpose", "count"), list(zip(PURPOSES, (0, 0, 0, 1), strict=True)))
def test_only_a_member_who_rates_changes_feedback(
    connection: Connection, alice: Owner, purpose: str, count: int
) -> None:
    rate = Statement(sa.text("UPDATE messages SET feedback = '{}'"))
    edit = Statement(sa.text("UPDATE messages SET role = 'system'"))
    record = Statement(
        sa.text(
            "INSERT INTO changes (user_id, type, conversation_id)"
            f" VALUES (:acting_user, 'message.updated', '{alice.conversation}')"
        )
    )

    with acting_under(alice.grant(purpose)):
        assert rate.rowcount(connection, {"acting_user": alice.user}) == count
        refused(edit, connection, {"acting_user": alice.user})
        if purpose == access.RATE:
            assert record.rowcount(connection, {"acting_user": alice.member}) == 1
            refused(record, connection, {"acting_user": alice.other_member})

    other = "SELECT feedback IS NULL FROM messages WHERE id = %(it)s"
    assert value(connection, other, {"it": alice.other_message}) is True


def test_member_sees_only_their_stored_responses(connection: Connection, alice: Owner) -> None:
    grants = [
        alice.grant(),
        alice.grant()._replace(member_id=alice.other_member),
        alice.grant()._replace(conversation_id=alice.other_conversation),
    ]
    stored = [(membership.key_of(grant, "k"), grant.conversation_id) for grant in grants]
    for key, conversation in [*stored, ("owner", alice.conversation), ("owner-2", None)]:
        idempotency_keys.insert(connection, **answer(alice.user, id=conversation) | {"key": key})
    keys = Statement(sa.text("SELECT array_agg(key::text) FROM idempotency_keys"))

    for grant, (key, _) in zip(grants, stored, strict=True):
        with acting_under(grant):
            assert keys.scalar(connection, {"acting_user": alice.user}) == [key]
            new = answer(alice.user, id=grant.conversation_id)
            idempotency_keys.insert(connection, **new | {"key": key})
            with pytest.raises(psycopg2.ProgrammingError, match="row-level security"):
                idempotency_keys.insert(connection, **new | {"key": "owner-3"})
