"""Tests that members change only what the purpose of their request allows."""

import pytest
import sqlalchemy as sa

from db import access, models
from db.engine import Connection, acting_under
from db.engine.statement import Statement
from db.sharing import memberships, telling
from tests.db.members_and_workers.owners import Owner
from tests.db.rows import value
from tests.db.seeing import assert_refused

PURPOSES = (access.READ, access.WRITE, access.LEAVE, access.RATE)


@pytest.mark.parametrize("column", ["user_id", "metadata", "is_private", "model", "agent_id"])
def test_editor_cannot_change_other_properties(
    connection: Connection, alice: Owner, column: str
) -> None:
    change = Statement(sa.text(f"UPDATE conversations SET {column} = {column}"))

    with acting_under(alice.grant(access.WRITE)):
        assert_refused(connection, change, {"acting_user": alice.user})


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
        assert_refused(connection, promote, {"acting_user": alice.member})


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
            assert_refused(connection, insert, row)
        else:
            assert insert.rowcount(connection, row) == 1
        assert_refused(connection, insert, row | {"conversation_id": alice.other_conversation})
        assert_refused(connection, insert, row | {"user_id": "another"})


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
        assert_refused(connection, edit, {"acting_user": alice.user})
        if purpose == access.RATE:
            assert record.rowcount(connection, {"acting_user": alice.member}) == 1
            assert_refused(connection, record, {"acting_user": alice.other_member})

    other = "SELECT feedback IS NULL FROM messages WHERE id = %(it)s"
    assert value(connection, other, {"it": alice.other_message}) is True
