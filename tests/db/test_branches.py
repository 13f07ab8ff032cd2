"""Branches of a conversation with 5,000 messages that an old server has stored without parents."""

import json
from typing import Any

import pytest

from db import engine, errors
from db.branches import activation, deletion, forks
from db.conversations import conversations
from db.engine import Connection
from db.messages import messages
from db.models import new_id
from tests.db.rows import insert_conversation, message, row, traced

LENGTH = forks.MAX_MESSAGES
FILL = """
INSERT INTO messages (conversation_id, user_id, position, role, content, created_at)
SELECT %(conversation)s, %(user)s, n, 'user', n::text,
       timestamptz '2026-01-01Z' + n * interval '1 minute'
FROM generate_series(1, %(length)s) AS n;
UPDATE conversations SET message_count = %(length)s, last_position = %(length)s,
  last_message_role = 'user', last_message_content = %(length)s,
  last_message_at = timestamptz '2026-01-01Z' + %(length)s * interval '1 minute',
  updated_at = timestamptz '2026-01-01Z' + %(length)s * interval '1 minute'
WHERE id = %(conversation)s
"""


@pytest.fixture
def long(connection: Connection, user: str) -> dict[str, Any]:
    """A conversation with LENGTH messages."""
    conversation_id = insert_conversation(connection, user)
    values = {"conversation": conversation_id, "user": user, "length": LENGTH}
    connection.execute(FILL, values).close()
    return {"conversation_id": conversation_id, "user_id": user}


def path_of(connection: Connection, long: dict[str, Any], **given: Any) -> list[dict[str, Any]]:
    """Return the messages of the active path, read page by page."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = messages.select_page(connection, **long, limit=500, after=after, **given)
        found += json.loads(page.documents)
        if page.next_key is None:
            assert page.total == len(found)
            return found
        after = page.next_key


def conversation_of(connection: Connection, long: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(conversations.select_one(connection, **long))
    return found


def test_branches_of_a_long_conversation(connection: Connection, long: dict[str, Any]) -> None:
    posted = path_of(connection, long)
    assert [each["parent_id"] for each in posted] == [None, *(each["id"] for each in posted[:-1])]
    assert path_of(connection, long, order="desc") == posted[::-1]
    new = message(long["conversation_id"], long["user_id"])

    with engine.transaction() as transaction:
        _, again = messages.insert(transaction, **new, sibling_of=posted[-1]["id"])
    assert json.loads(again)["parent_id"] == posted[-2]["id"]
    assert conversation_of(connection, long)["message_count"] == LENGTH
    with engine.transaction() as transaction:
        first, _ = messages.insert(transaction, **new, sibling_of=posted[0]["id"])
    assert [each["id"] for each in path_of(connection, long)] == [first]
    assert len(path_of(connection, long, all_branches=True)) == LENGTH + 2

    with engine.transaction() as transaction:
        activation.activate(transaction, **long, message_id=posted[-1]["id"])
    assert [each["id"] for each in path_of(connection, long)] == [each["id"] for each in posted]
    with engine.transaction() as transaction:
        deletion.delete(transaction, message_id=posted[0]["id"], user_id=long["user_id"])
    left = path_of(connection, long)
    assert [each["content"] for each in left] == [str(n) for n in range(2, LENGTH + 1)]
    assert (left[0]["parent_id"], left[0]["sibling_count"]) == (None, 2)
    assert conversation_of(connection, long)["message_count"] == LENGTH - 1


def test_fork_copies_up_to_5000_messages(connection: Connection, long: dict[str, Any]) -> None:
    with engine.transaction() as transaction:
        copy_id, _ = forks.insert(transaction, **long)
    copy = {**long, "conversation_id": copy_id}
    copied, posted = path_of(connection, copy), path_of(connection, long)
    for name in ("content", "created_at"):
        assert [each[name] for each in copied] == [each[name] for each in posted]
    messages.insert(connection, **message(copy_id, long["user_id"]))

    with pytest.raises(errors.Invalid, match="5,000"), engine.transaction() as transaction:
        forks.insert(transaction, **copy)


def test_regenerated_answer_reads_and_changes_only_what_follows_its_parent(
    connection: Connection, long: dict[str, Any]
) -> None:
    last = json.loads(messages.select_page(connection, **long, limit=1, order="desc").documents)[0]
    new = message(long["conversation_id"], long["user_id"], sibling_of=last["id"])

    with traced() as trace, engine.transaction() as transaction:
        messages.insert(transaction, **new)

    assert len(trace) <= 14
    numbered = row(
        connection,
        "SELECT count(sibling_count) FROM messages WHERE conversation_id = %(id)s",
        {"id": long["conversation_id"]},
    )
    assert numbered == (2,)


OLD_SERVER = """
UPDATE conversations SET message_count = message_count + 1, last_position = last_position + 1
WHERE id = %(conversation)s;
INSERT INTO messages (id, conversation_id, user_id, position, role, content)
SELECT %(id)s, id, user_id, last_position, 'user', 'of an old server' FROM conversations
WHERE id = %(conversation)s
"""


def test_old_server_posts_to_the_active_branch(
    connection: Connection, user: str, conversation_id: str
) -> None:
    this = {"conversation_id": conversation_id, "user_id": user}
    new = message(conversation_id, user)
    first, _ = messages.insert(connection, **new)
    second, _ = messages.insert(connection, **new)
    with engine.transaction() as transaction:
        other, _ = messages.insert(transaction, **new, sibling_of=second)
    old = new_id()
    connection.execute(OLD_SERVER, {"conversation": conversation_id, "id": old}).close()

    def places() -> list[tuple[str, str | None, bool]]:
        listed = path_of(connection, this, all_branches=True)
        for each in listed:
            found = messages.select_one(connection, message_id=each["id"], user_id=user)
            assert json.loads(found) == each
        return [(each["id"], each["parent_id"], each["active"]) for each in listed]

    assert [each["id"] for each in path_of(connection, this)] == [first, other, old]
    assert places()[-1] == (old, other, True)
    for message_id, is_active in ((second, False), (old, True)):
        with engine.transaction() as transaction:
            activation.activate(transaction, **this, message_id=message_id)
        assert places()[-1] == (old, other, is_active)
    with engine.transaction() as transaction:
        deletion.delete(transaction, message_id=other, user_id=user)
    assert places() == [(first, None, True), (second, first, False), (old, first, True)]
