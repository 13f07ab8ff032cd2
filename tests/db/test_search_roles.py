"""Tests that each role sees and writes only the terms of messages that it may."""

import uuid
from typing import Any

import sqlalchemy as sa

from db import access, models
from db.engine import Connection, Lease, MemberGrant, acting_under, roles
from db.engine.statement import Statement
from db.models import message_terms
from tests.db.rows import insert_conversation, insert_message, insert_run, share
from tests.db.seeing import assert_refused

_ids = sa.func.array_agg(sa.cast(message_terms.c.message_id, sa.Text))
_select = sa.select(_ids)
_insert = Statement(
    sa.insert(message_terms).values(
        conversation_id=sa.bindparam("of_conversation", type_=models.Id),
        message_id=sa.bindparam("message", type_=models.Id),
        user_id=sa.bindparam("owner", type_=sa.String),
        role=sa.literal_column("'user'"),
        created_at=sa.func.now(),
        terms=sa.literal_column("'a:1'"),
    )
)
_update = Statement(sa.update(message_terms).values(terms=sa.literal_column("'b:1'")))
_delete = Statement(sa.delete(message_terms))


def seen(connection: Connection, user: str) -> list[str]:
    found: list[str] | None = Statement(_select).scalar(connection, {"acting_user": user})
    return found or []


def new(conversation: str, owner: str) -> dict[str, Any]:
    ids = {"of_conversation": conversation, "message": str(uuid.uuid4())}
    return {**ids, "owner": owner, "acting_user": owner}


def test_users_see_and_change_only_their_own_terms(connection: Connection, user: str) -> None:
    other = f"other of {user}"
    own, others = (
        insert_message(connection, insert_conversation(connection, each), each)
        for each in (user, other)
    )

    assert (seen(connection, user), seen(connection, "")) == ([own], [])
    assert _update.rowcount(connection, {"acting_user": user}) == 1
    assert _delete.rowcount(connection, {"acting_user": user}) == 1
    assert (seen(connection, user), seen(connection, other)) == ([], [others])
    conversation = insert_conversation(connection, other)
    assert_refused(connection, _insert, new(conversation, other) | {"acting_user": user})


def test_role_of_searches_only_reads(connection: Connection, user: str) -> None:
    insert_message(connection, insert_conversation(connection, user), user)

    for statement in (sa.delete(message_terms), sa.update(message_terms).values(user_id="u")):
        assert_refused(
            connection, Statement(statement, role=roles.EXISTENCE), {"acting_user": user}
        )


def test_member_writes_terms_only_to_write_to_the_shared_conversation(
    connection: Connection, user: str
) -> None:
    shared, private = (insert_conversation(connection, user) for _ in range(2))
    share(connection, shared, user, "m", "editor")
    message = insert_message(connection, shared, user)
    insert_message(connection, private, user)
    grant = MemberGrant(user, shared, "m", "editor", access.WRITE)

    with acting_under(grant):
        assert seen(connection, user) == [message]
        assert _update.rowcount(connection, {"acting_user": user}) == 1
        _insert.rowcount(connection, new(shared, user))
        assert_refused(connection, _insert, new(private, user))
        assert_refused(connection, _delete, {"acting_user": user})
    with acting_under(grant._replace(purpose=access.READ)):
        assert_refused(connection, _insert, new(shared, user))
        assert _update.rowcount(connection, {"acting_user": user}) == 0


def test_worker_adds_terms_only_to_the_conversation_of_the_run(
    connection: Connection, user: str
) -> None:
    leased, private = (insert_conversation(connection, user) for _ in range(2))
    run = insert_run(connection, user, conversation_id=leased, status="running")

    with acting_under(Lease(run, leased)):
        _insert.rowcount(connection, new(leased, user))
        assert_refused(connection, _insert, new(private, user))
        for statement in (Statement(_select), _update, _delete):
            assert_refused(connection, statement, {"acting_user": user})
