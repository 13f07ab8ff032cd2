"""Each query is one statement, or as many as it is known to need."""

from collections.abc import Callable

import pytest

from db import access, chat_settings, engine
from db.conversations import conversations
from db.engine import Connection, acting_under
from db.messages import messages
from tests.db.queries.queries import QUERIES
from tests.db.rows import insert_conversation, insert_run, message, row, share, traced, value


def test_each_query_is_one_statement(connection: Connection, user: str) -> None:
    counts = {}
    for name, action in QUERIES.items():
        conversation_id, run_id = (
            insert_conversation(connection, user),
            insert_run(connection, user),
        )
        with traced() as trace:
            action(connection, user, conversation_id, run_id)
        counts[name] = len(trace)

    more = {
        "conversation_with_messages": 2,
        # One for the message, and four to find its conversation, lock both, edit and index it.
        "new_and_edited_message": 5,
        "new_message_and_its_versions": 2,
        # These also look for members, if the run has a conversation.
        "new_run_in_a_conversation": 3,
        "deleted_conversation": 4,
        "changed_run": 2,
        "run_with_new_status": 4,
        # One of the three inserts the message that is read.
        "read_message": 3,
        **{name: 2 for name in QUERIES if name.startswith("bulk_")},
        "bulk_delete": 4,
        # The second one looks for shared conversations. Results would need a third one.
        "search": 2,
    }
    assert counts == dict.fromkeys(QUERIES, 1) | more


def test_select_message_is_one_statement(
    connection: Connection, user: str, conversation_id: str
) -> None:
    message_id, made = messages.insert(connection, **message(conversation_id, user))

    with traced() as trace:
        found = messages.select_one(connection, message_id=message_id, user_id=user)

    assert found == made
    assert len(trace) == 1


def test_autocommit_sends_only_the_statement(configured: None, user: str) -> None:
    with engine.autocommit() as connection:
        chat_settings.select_one(connection, user_id=user)
        pid = value(connection, "SELECT pg_backend_pid()")
    with engine.autocommit() as connection:
        chat_settings.select_one(connection, user_id=user)
    # The session's last message is the query with its settings, not BEGIN or ROLLBACK.
    with engine.autocommit() as watched, engine.autocommit() as watcher:
        assert watched.backend_pid == pid
        sent, state = row(
            watcher,
            "SELECT query, state FROM pg_stat_activity WHERE pid = %(pid)s",
            {"pid": pid},
        )

    settings, _, query = sent.rpartition(";\n")
    assert settings.startswith("SET LOCAL agent_api.acting_user")
    assert query.startswith("EXECUTE select_")
    assert state == "idle"


READ_BY_MEMBERS: dict[str, Callable[[Connection, str, str], object]] = {
    "conversation": lambda c, u, t: conversations.select_one(c, conversation_id=t, user_id=u),
    "list_messages": lambda c, u, t: messages.select_page(c, conversation_id=t, user_id=u, limit=9),
}


@pytest.mark.parametrize("name", READ_BY_MEMBERS)
def test_member_reads_with_two_statements(
    connection: Connection, user: str, conversation_id: str, name: str
) -> None:
    query = READ_BY_MEMBERS[name]
    share(connection, conversation_id, user, "member")

    with traced() as trace:
        with pytest.raises(access.Granted) as granted:
            query(connection, "member", conversation_id)
        with acting_under(granted.value.grant):
            query(connection, user, conversation_id)

    assert len(trace) == 2
    assert [parameters["acting_user"] for _, parameters in trace] == ["member", user]
