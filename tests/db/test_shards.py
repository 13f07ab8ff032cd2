"""Tests of what distributed tables need, on a PostgreSQL without Citus.

The function `act_as` marks a database as distributed, and also works without Citus.
"""

import json
from collections.abc import Callable, Iterator

import pytest

from db import engine, errors, runs
from db.conversations import conversation_lists
from db.engine import roles, shards
from db.messages import messages
from tests.db.rows import TRACED, insert_conversation, insert_run, message, row, traced

USER = "it's \\ me: %s; $$"


@pytest.fixture(scope="module")
def marked_url(new_migrated_database: Callable[[], str]) -> str:
    url = new_migrated_database()
    with engine.private_engine(url).begin() as connection:
        connection.exec_driver_sql(shards.create_function(roles.REQUEST))
    return url


@pytest.fixture
def marked(marked_url: str) -> Iterator[None]:
    engine.configure(marked_url, pool_size=1, statement_timeout_ms=10_000, hooks=TRACED)
    yield
    engine.dispose()


def test_statement_to_shards_is_one_message_with_user_and_role(marked: None) -> None:
    with engine.autocommit() as connection:
        insert_conversation(connection, USER)
        with traced() as trace:
            page = conversation_lists.select_page(connection, user_id=USER, limit=1)
        others = conversation_lists.select_page(connection, user_id="another", limit=1)

    ((sent, _),) = trace
    assert "SELECT act_as(%(acting_user)s, 'agent_api_request');\n" in sent
    assert "SET LOCAL ROLE" not in sent
    assert json.loads(page.documents)[0]["user_id"] == USER
    assert others.total == 0


def test_user_and_role_end_with_the_transaction(marked: None) -> None:
    with engine.transaction() as connection:
        for user in (USER, "another"):
            conversation_id = insert_conversation(connection, user)
            insert_run(connection, user, conversation_id=conversation_id)
    with engine.autocommit() as connection:
        state = row(
            connection, "SELECT current_setting('role'), current_setting('agent_api.acting_user')"
        )

    assert state == ("none", "")


def test_refused_transaction_is_rolled_back_before_the_reason_is_looked_up(marked: None) -> None:
    with engine.autocommit() as connection:
        theirs = insert_conversation(connection, "another")
        before = runs.select_page(connection, user_id=USER, limit=1).total

    def fail() -> None:
        with engine.transaction() as connection:
            insert_run(connection, USER)
            messages.insert(connection, **message(theirs, USER))

    with traced() as trace, pytest.raises(errors.Denied):
        fail()

    sent = [statement.rpartition(";\n")[2] for statement, _ in trace]
    assert sent[-3] == "ROLLBACK"
    assert sent[-2].startswith("SELECT memberships.owner_id")
    assert sent[-1].startswith("SELECT conversations.user_id = ")
    with engine.autocommit() as connection:
        assert runs.select_page(connection, user_id=USER, limit=1).total == before
