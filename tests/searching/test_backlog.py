"""Messages that a server without search has stored become searchable."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from db import engine
from db.search import backlog
from tests.calls import Json, new_conversation, post_message
from tests.processes import wait_until
from tests.scraping import scrape, value
from tests.searching.calls import found
from tests.servers import Server, agent_api, free_port, start_server

# What a server of version 1.0 or of an earlier 1.1 sends for a message.
POST = """
WITH this AS (
  UPDATE conversations SET message_count = message_count + 1, last_position = last_position + 1,
    last_message_role = 'user', last_message_content = %(content)s, last_message_at = now(),
    updated_at = now()
  WHERE id = %(id)s RETURNING id, user_id, last_position)
INSERT INTO messages (conversation_id, user_id, position, role, content)
SELECT id, user_id, last_position, 'user', %(content)s FROM this
"""
PROGRESS = "SELECT last_position - indexed_position FROM conversations WHERE id = %(id)s"


@pytest.fixture(scope="module")
def database_url(new_migrated_database: Callable[[], str]) -> str:
    """A database whose messages only these tests index."""
    return new_migrated_database()


@pytest.fixture(scope="module")
def server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that indexes nothing for a minute, because it has just done so."""
    port = free_port()
    folder = tmp_path_factory.mktemp("backlog")
    with start_server(database_url, folder, metrics_port=str(port)) as running:
        wait_until(lambda: value(scrape(port), "agent_api_sweeps_total", sweep="indexing") > 0)
        yield running


@pytest.fixture
def connected(database_url: str) -> Iterator[None]:
    """Let this process use the database of the server."""
    engine.configure(database_url, pool_size=2, statement_timeout_ms=10_000)
    yield
    engine.dispose()


def post_as_before(database: Any, conversation: Json, content: str) -> None:
    with database.cursor() as cursor:
        cursor.execute(POST, {"id": conversation["id"], "content": content})


def behind(database: Any, conversation: Json) -> int:
    """Return how many positions of a conversation are not known to be indexed."""
    with database.cursor() as cursor:
        cursor.execute(PROGRESS, {"id": conversation["id"]})
        ((count,),) = cursor.fetchall()
        return int(count)


def test_messages_of_earlier_versions_are_indexed(
    alice: httpx.Client, conversation: Json, database: Any, connected: None
) -> None:
    for number in range(3):
        post_as_before(database, conversation, f"old word {number}")
    assert found(alice, "word") == []

    assert backlog.run(most=None) >= 3

    assert len(found(alice, "word")) == 3
    assert behind(database, conversation) == 0


def test_servers_of_both_versions_post_to_one_conversation(
    alice: httpx.Client, conversation: Json, database: Any, connected: None
) -> None:
    new = [post_message(alice, conversation, "new word")["id"]]
    assert behind(database, conversation) == 0
    post_as_before(database, conversation, "old word")
    new.append(post_message(alice, conversation, "new word")["id"])
    assert sorted(found(alice, "word")) == sorted(new)
    assert behind(database, conversation) == 2

    backlog.run(most=None)

    assert len(found(alice, "old word")) == 1
    assert len(found(alice, "word")) == 3
    post_message(alice, conversation, "new word")
    assert behind(database, conversation) == 0


def test_indexing_goes_on_where_it_stopped(
    alice: httpx.Client, conversation: Json, database: Any, connected: None
) -> None:
    count = backlog.STEP_MESSAGES + 5
    for _ in range(count):
        post_as_before(database, conversation, "old word")
    step = {"conversation_id": conversation["id"], "user_id": conversation["user_id"]}

    with engine.transaction() as connection:
        assert backlog.index_some(connection, **step) == backlog.STEP_MESSAGES
    assert behind(database, conversation) == 5
    with engine.transaction() as connection:
        assert backlog.index_some(connection, **step) == 5
    with engine.transaction() as connection:
        assert backlog.index_some(connection, **step) == 0

    assert behind(database, conversation) == 0
    assert len(found(alice, "word", limit=50)) == 50


def test_indexing_starts_with_the_latest_conversations(
    alice: httpx.Client, database: Any, connected: None
) -> None:
    older, newer = new_conversation(alice), new_conversation(alice)
    for conversation in (older, newer):
        post_as_before(database, conversation, "old word")

    assert backlog.run(most=1) == 1

    assert (behind(database, older), behind(database, newer)) == (1, 0)
    backlog.run(most=None)


@pytest.mark.process
def test_servers_and_the_command_index_messages(
    new_migrated_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_migrated_database()
    with start_server(url, tmp_path) as server, server.client("alice") as alice:
        conversation = new_conversation(alice)
        database = psycopg2.connect(url)
        database.autocommit = True
        post_as_before(database, conversation, "first word")
    ran = agent_api("index", database_url=url)
    assert (ran.returncode, ran.stdout) == (0, "1 messages are searchable now.\n")
    post_as_before(database, conversation, "second word")
    with start_server(url, tmp_path) as server, server.client("alice") as alice:
        wait_until(lambda: len(found(alice, "word")) == 2)
    database.close()
