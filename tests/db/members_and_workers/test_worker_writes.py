"""Tests that a worker writes only to its run and the run's conversation."""

import pytest
import sqlalchemy as sa

from db import errors, models
from db.engine import Connection
from db.engine.statement import Statement
from db.messages import messages
from db.models import Base
from tests.db.members_and_workers.owners import Owner
from tests.db.rows import ABSENT_ID, message, value
from tests.db.seeing import BY_POLICY, assert_refused


def test_worker_cannot_change_other_rows(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    text = f"changed by {alice.user}"
    changed = {
        name: Statement(sa.update(Base.metadata.tables[name]).values({column: text})).rowcount(
            connection, leased
        )
        for name, column in (("conversations", "model"), ("runs", "error"))
    }

    assert changed == {"conversations": 1, "runs": 1}
    for query in (
        "SELECT id::text FROM conversations WHERE model = %(it)s",
        "SELECT id::text FROM runs WHERE error = %(it)s",
    ):
        assert value(connection, query, {"it": text}) in (alice.conversation, alice.run)


def test_worker_cannot_post_to_another_conversation(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    with pytest.raises(errors.Missing):
        messages.insert(connection, **message(alice.other_conversation, alice.user))
    row = alice.message_row(conversation_id=alice.other_conversation)
    anywhere = Statement(sa.insert(models.messages), columns=row)
    assert_refused(connection, anywhere, row | leased, BY_POLICY)


def test_worker_cannot_name_another_run(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    others = (alice.other_run, alice.later_run, alice.run_without_conversation, ABSENT_ID)
    for run in others:
        with pytest.raises(errors.Reference):
            messages.insert(connection, **message(alice.conversation, alice.user, run_id=run))


def test_database_refuses_a_message_that_names_another_run(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    row = alice.message_row(run_id=alice.later_run)
    insert = Statement(sa.insert(models.messages), columns=row)

    assert_refused(connection, insert, row | leased, BY_POLICY)
    assert insert.rowcount(connection, row | {"run_id": alice.run} | leased) == 1


def test_worker_cannot_add_attachments(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    with pytest.raises(errors.Invalid, match="attachment_ids cannot be sent with a lease"):
        messages.insert(
            connection, **message(alice.conversation, alice.user, attachment_ids=[ABSENT_ID])
        )
    row = alice.message_row(chat_attachments=[{"filename": "forged.pdf"}])
    insert = Statement(sa.insert(models.messages), columns=row)
    assert_refused(connection, insert, row | leased, BY_POLICY)


def test_worker_cannot_post_as_a_member(
    connection: Connection, alice: Owner, leased: dict[str, str]
) -> None:
    row = alice.message_row(details={"parts": [{"type": "text"}], "author": "m"})
    insert = Statement(sa.insert(models.messages), columns=row)

    assert_refused(connection, insert, row | leased, BY_POLICY)
    row["details"] = {"parts": [{"type": "text"}]}
    assert insert.rowcount(connection, row | leased) == 1
