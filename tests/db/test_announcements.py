"""Tests that those who follow a user's log are woken after each commit, and only then."""

import uuid
from collections.abc import Callable, Iterator

import pytest

from db import chat_settings, engine, errors, runs
from db.conversations import conversation_deletion, conversations
from db.engine import Connection, Hooks
from db.sharing import shares
from tests.db.rows import insert_conversation, insert_message, insert_run

WRITES: dict[str, Callable[[Connection, str, str, str], object]] = {
    "new conversation": lambda c, u, t, r: insert_conversation(c, u),
    "changed conversation": lambda c, u, t, r: conversations.update(
        c, conversation_id=t, user_id=u, changes={"title": "T"}
    ),
    "deleted conversation": lambda c, u, t, r: conversation_deletion.delete(
        c, conversation_id=t, user_id=u
    ),
    "new message": lambda c, u, t, r: insert_message(c, t, u),
    "new run": lambda c, u, t, r: insert_run(c, u),
    "changed run": lambda c, u, t, r: runs.update(c, run_id=r, user_id=u, changes={"error": "E"}),
    "saved settings": lambda c, u, t, r: chat_settings.upsert(c, user_id=u, changes={}),
}


OF_SHARED = ("changed conversation", "deleted conversation", "new message", "changed run")


@pytest.fixture
def announced(database_url: str) -> Iterator[list[tuple[str, ...]]]:
    topics: list[tuple[str, ...]] = []
    hooks = Hooks(on_commit=topics.append)
    engine.configure(database_url, pool_size=2, statement_timeout_ms=10_000, hooks=hooks)
    yield topics
    engine.dispose()


@pytest.mark.parametrize("name", WRITES)
def test_write_announces_the_users_log_after_the_commit(
    announced: list[tuple[str, ...]], name: str
) -> None:
    user = f"user-{uuid.uuid4()}"
    with engine.autocommit() as connection:
        ids = insert_conversation(connection, user), insert_run(connection, user)
    announced.clear()

    with engine.transaction() as connection:
        WRITES[name](connection, user, *ids)
        before = list(announced)

    assert before == []
    assert [topic for topic in announced if topic[0] == "changes"] == [("changes", user)]


@pytest.mark.parametrize("name", OF_SHARED)
def test_write_to_a_shared_conversation_announces_the_logs_of_all(
    announced: list[tuple[str, ...]], name: str
) -> None:
    user = f"user-{uuid.uuid4()}"
    members = [f"{user} {role}" for role in ("editor", "viewer")]
    with engine.transaction() as connection:
        conversation_id = insert_conversation(connection, user)
        run_id = insert_run(connection, user, conversation_id=conversation_id)
        for member in members:
            shares.upsert(
                connection,
                conversation_id=conversation_id,
                user_id=user,
                member_id=member,
                role=member.split()[-1],
            )
    announced.clear()

    with engine.transaction() as connection:
        WRITES[name](connection, user, conversation_id, run_id)
        before = list(announced)

    assert before == []
    logs = [each for kind, each, *_ in announced if kind == "changes"]
    assert sorted(logs) == sorted([user, *members])


def test_refused_write_announces_nothing(announced: list[tuple[str, ...]]) -> None:
    def write() -> None:
        with engine.transaction() as connection:
            insert_run(connection, "somebody")
            insert_message(connection, str(uuid.uuid4()), "somebody")

    with pytest.raises(errors.Missing):
        write()

    assert announced == []
