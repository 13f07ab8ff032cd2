"""Tests that members post and edit only their own messages, as editors of the conversation."""

from typing import Any

import pytest
import sqlalchemy as sa

from db import access, engine, errors, models
from db.engine import Connection, acting_under
from db.engine.statement import Statement
from db.messages import messages
from tests.db.members_and_workers.owners import Owner, edit_message
from tests.db.rows import ABSENT_ID, insert_message, message, share
from tests.db.seeing import assert_refused, seen


def test_only_editors_post_and_only_to_the_conversation(
    connection: Connection, alice: Owner, bob: Owner
) -> None:
    row = alice.message_row(run_id=None, chat_attachments=None, details={"author": alice.member})
    insert = Statement(sa.insert(models.messages), columns=row)
    others: list[dict[str, Any]] = [
        {"conversation_id": alice.other_conversation},
        {"conversation_id": bob.conversation, "user_id": bob.user},
        {"run_id": alice.run},
        {"details": None},
        {"details": {"version": 1}},
        {"details": {"author": alice.other_member}},
    ]

    for purpose in (access.READ, access.LEAVE):
        with acting_under(alice.grant(purpose)):
            assert_refused(connection, insert, row | {"acting_user": alice.user})
    with acting_under(alice.grant(access.WRITE)):
        for changes in others:
            assert_refused(connection, insert, row | changes | {"acting_user": alice.user})
        assert insert.rowcount(connection, row | {"acting_user": alice.user}) == 1
        messages.insert(connection, **message(alice.conversation, alice.user))
        with pytest.raises(errors.Missing):
            messages.insert(connection, **message(alice.other_conversation, alice.user))
        with pytest.raises(errors.Reference):
            messages.insert(connection, **message(alice.conversation, alice.user, run_id=ABSENT_ID))
        with pytest.raises(errors.InvalidItems):
            messages.insert(
                connection, **message(alice.conversation, alice.user, attachment_ids=[ABSENT_ID])
            )


def test_editors_see_only_their_own_attachments_and_store_only_the_owners(
    connection: Connection, alice: Owner, bob: Owner
) -> None:
    row = {
        "id": models.new_id(),
        "user_id": alice.user,
        "conversation_id": alice.conversation,
        "message_id": alice.message,
        "filename": "lease.pdf",
        "file_url": "s3://leases/lease.pdf",
    }
    insert = Statement(sa.insert(models.chat_attachments), columns=row)
    others: list[dict[str, Any]] = [
        {"conversation_id": alice.other_conversation},
        {"conversation_id": None, "message_id": None},
        {"conversation_id": bob.conversation, "user_id": bob.user},
    ]
    every = Statement(sa.text("SELECT id::text FROM chat_attachments"))

    for purpose in (access.READ, access.LEAVE, access.RATE):
        with acting_under(alice.grant(purpose)):
            assert every.rows(connection, {"acting_user": alice.user}) == []
            assert_refused(connection, insert, row | {"acting_user": alice.user})
    with acting_under(alice.grant(access.WRITE)):
        for changes in others:
            assert_refused(connection, insert, row | changes | {"acting_user": alice.user})
        assert insert.rowcount(connection, row | {"acting_user": alice.user}) == 1
        assert every.rows(connection, {"acting_user": alice.user}) == [
            (alice.attachment_of_member,)
        ]


def test_editor_who_is_a_viewer_now_leaves_no_copies(connection: Connection, alice: Owner) -> None:
    share(connection, alice.conversation, alice.user, alice.member, "viewer")
    new = message(alice.conversation, alice.user, attachment_ids=[alice.attachment_of_member])

    with (
        acting_under(alice.grant(access.WRITE)),
        pytest.raises(errors.Denied),
        engine.joined(connection),
    ):
        messages.insert(connection, **new)

    found = seen(connection, models.chat_attachments, acting_user=alice.user)
    assert found == {alice.attachment}


def test_editors_change_only_what_they_have_posted(connection: Connection, alice: Owner) -> None:
    with acting_under(alice.grant(access.WRITE)):
        own = insert_message(connection, alice.conversation, alice.user)
        edit_message(connection, own, alice.user)
        for column in ("role", "position", "created_at", "chat_attachments", "run_id"):
            change = Statement(sa.text(f"UPDATE messages SET {column} = {column}"))
            assert_refused(connection, change, {"acting_user": alice.user})
        with pytest.raises(errors.Denied):
            edit_message(connection, alice.message, alice.user)
    of_other = alice.grant(access.WRITE)._replace(member_id=alice.other_member)
    with acting_under(of_other):
        with pytest.raises(errors.Denied):
            edit_message(connection, own, alice.user)
        others = insert_message(connection, alice.conversation, alice.user)
    for details in (None, {"author": alice.other_member}):
        forge = Statement(sa.update(models.messages), columns=("details",))
        with acting_under(alice.grant(access.WRITE)):
            assert_refused(connection, forge, {"acting_user": alice.user, "details": details})
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
            assert_refused(connection, insert, row)
    with acting_under(alice.grant(access.WRITE)):
        for changes in ({"author_id": None}, {"author_id": alice.other_member}, others):
            assert_refused(connection, insert, row | changes)
        assert insert.rowcount(connection, row) == 1
