"""What owners and members send to read a shared conversation, by how statements are sent."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from db import access, engine
from db.conversations import conversations
from db.engine import Connection, acting_under
from db.messages import messages
from db.sharing import shares
from tests.db.rows import TRACED, insert_conversation, message, traced

Read = Callable[..., object]
READS: dict[str, Read] = {
    "conversation": conversations.select_one,
    "messages": lambda c, **this: messages.select_page(c, **this, limit=10),
}


@pytest.fixture(params=[True, False], ids=["prepared", "not prepared"])
def prepares(request: pytest.FixtureRequest, database_url: str) -> Iterator[bool]:
    """Configure the engine, with prepared statements or without."""
    prepare: bool = request.param
    engine.configure(
        database_url, pool_size=1, statement_timeout_ms=10_000, prepare=prepare, hooks=TRACED
    )
    yield prepare
    engine.dispose()


@pytest.fixture
def this(prepares: bool) -> dict[str, Any]:
    """A conversation of a new owner that is shared with the user `member`."""
    with engine.transaction() as connection:
        owner = f"owner {prepares}"
        this = {"conversation_id": insert_conversation(connection, owner), "user_id": owner}
        shares.upsert(connection, **this, member_id="member", role="viewer")
        messages.insert(connection, **message(this["conversation_id"], owner))
    return this


def as_member(connection: Connection, read: Read, this: dict[str, Any]) -> object:
    """Read twice, as the middleware does."""
    try:
        return read(connection, **this | {"user_id": "member"})
    except access.Granted as granted:
        with acting_under(granted.grant):
            return read(connection, **this)


@pytest.mark.parametrize("name", READS)
def test_owner_sends_one_statement_that_is_cheap_to_plan(
    prepares: bool, this: dict[str, Any], name: str
) -> None:
    with engine.autocommit() as connection:
        READS[name](connection, **this)
        with traced() as trace:
            READS[name](connection, **this)

    ((sql, _),) = trace
    assert prepares or "memberships" not in sql


@pytest.mark.parametrize("name", READS)
def test_member_sends_two_statements_or_three_if_not_prepared(
    prepares: bool, this: dict[str, Any], name: str
) -> None:
    with engine.autocommit() as connection, traced() as trace:
        as_member(connection, READS[name], this)

    assert len(trace) == (2 if prepares else 3)
