"""Queries tell missing rows from those of other users, and refuse to refer to either."""

import json

import pytest

from db import access, errors
from db.conversations import conversations
from db.engine import Connection
from db.messages import messages
from tests.db.queries.refused import REFUSED
from tests.db.rows import ABSENT_ID, insert_attachment, insert_conversation, insert_run, message


@pytest.mark.parametrize("name", REFUSED)
def test_missing_row_and_another_users_row_raise_different_errors(
    connection: Connection,
    user: str,
    conversation_id: str,
    run_id: str,
    name: str,
) -> None:
    resource, query = REFUSED[name]
    message_id, made = messages.insert(connection, **message(conversation_id, user))
    ids = {
        "conversation": conversation_id,
        "run": run_id,
        "message": message_id,
        "attachment": insert_attachment(connection, user),
    }

    with pytest.raises(errors.Denied) as denied:
        query(connection, "somebody else", ids)
    with pytest.raises(errors.Missing) as missing:
        query(connection, user, dict.fromkeys(ids, ABSENT_ID))

    assert denied.value.resource == missing.value.resource == resource
    assert messages.select_one(connection, message_id=message_id, user_id=user) == made


def test_row_created_after_the_statement_is_missing(
    connection: Connection, user: str, run_id: str
) -> None:
    with pytest.raises(errors.Missing):
        access.refuse(connection, "run", row_id=run_id, user_id=user)


def test_reference_to_missing_and_other_users_rows_raises_reference(
    connection: Connection, user: str, conversation_id: str, run_id: str
) -> None:
    mine = insert_conversation(connection, "somebody else")

    for linked in (run_id, ABSENT_ID):
        with pytest.raises(errors.Reference, match="run_id"):
            messages.insert(connection, **message(mine, "somebody else", run_id=linked))
    for linked in (conversation_id, ABSENT_ID):
        with pytest.raises(errors.Reference, match="conversation_id"):
            insert_run(connection, "somebody else", conversation_id=linked)

    found = conversations.select_one(connection, conversation_id=mine, user_id="somebody else")
    assert json.loads(found)["message_count"] == 0
