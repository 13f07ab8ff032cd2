"""stream_changes."""

import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import httpx
import pytest

from db import engine
from tests.calls import at_once, new_conversation, new_run, post_message, read
from tests.contract import assert_problem
from tests.db.rows import insert_message
from tests.live.following import following_changes, frames
from tests.mirror import changes_after, position
from tests.servers import Server, sign, start_server

STREAM = "/changes/stream"


def test_stream_changes_delivers_changes_as_they_are_committed(alice: httpx.Client) -> None:
    conversation = new_conversation(alice)
    with following_changes(alice) as stream:
        message = post_message(alice, conversation, "Hello")
        first = next(stream)
        run = new_run(alice)
        second = next(stream)

    assert [(each.id, each.event) for each in (first, second)] == [
        (2, "message.created"),
        (3, "run.created"),
    ]
    assert [first.data, second.data] == list(changes_after(alice, 1))
    assert (first.data["id"], second.data["id"]) == (message["id"], run["id"])


@pytest.mark.parametrize("start", [{"after": 2}, {"last_event_id": 2, "after": 0}])
def test_stream_changes_resumes(alice: httpx.Client, start: dict[str, int]) -> None:
    for _ in range(4):
        new_run(alice)

    with following_changes(alice, **start) as stream:
        assert [each.id for each in islice(stream, 2)] == [3, 4]


def test_stream_changes_as_messages(alice: httpx.Client) -> None:
    new_run(alice)

    with following_changes(alice, after=0, format="message") as stream:
        only = next(stream)

    assert (only.id, only.event, only.data["type"]) == (1, "message", "run.created")


def test_stream_changes_starts_with_its_position(alice: httpx.Client) -> None:
    new_run(alice)

    with alice.stream("GET", STREAM) as response:
        lines = list(islice(response.iter_lines(), 3))

    assert lines == ["id: 1", "retry: 1000", ""]


def test_stream_changes_refuses_expired_positions(alice: httpx.Client) -> None:
    new_run(alice)

    problem = assert_problem(alice.get(STREAM, params={"after": 2}), 410)
    again = assert_problem(alice.get(STREAM, headers={"Last-Event-ID": "9"}), 410)

    assert problem["type"] == again["type"] == "/problems/position-expired"


def test_stream_changes_shows_only_the_users_own(alice: httpx.Client, bob: httpx.Client) -> None:
    with following_changes(bob) as stream:
        for _ in range(3):
            new_run(alice)
        own = new_run(bob)
        assert next(stream).data["id"] == own["id"]


def test_stream_changes_has_a_change_that_is_committed_late(
    alice: httpx.Client, database_url: str
) -> None:
    conversation = new_conversation(alice)
    engine.configure(database_url, pool_size=1, statement_timeout_ms=10_000)
    try:
        with following_changes(alice) as stream:
            with engine.transaction() as connection:
                late = insert_message(connection, conversation["id"], conversation["user_id"])
                early = new_run(alice)
                assert next(stream).data["id"] == early["id"]
            assert next(stream).data["id"] == late
    finally:
        engine.dispose()


@pytest.mark.process
def test_stream_changes_has_what_other_processes_write(
    database_url: str, server: Server, tmp_path: Path
) -> None:
    user = f"two-{uuid.uuid4()}"
    with (
        start_server(database_url, tmp_path) as other,
        server.client(user) as here,
        other.client(user) as there,
        following_changes(here) as stream,
    ):
        for _ in range(5):
            run = new_run(there)
            started = time.monotonic()
            assert next(stream).data["id"] == run["id"]
            assert time.monotonic() - started < 5


@pytest.mark.slow
def test_stream_changes_ends_when_the_token_expires(alice: httpx.Client, server: Server) -> None:
    user = new_run(alice)["created_by"]
    headers = {"Authorization": f"Bearer {sign(user, seconds=5)}"}

    with httpx.stream("GET", server.url + STREAM, headers=headers, timeout=30) as response:
        received = list(frames(response.iter_lines()))

    assert received == []


def test_stream_changes_gives_many_readers_the_same_log(
    new_client: Callable[[str], httpx.Client],
) -> None:
    user = f"followed-{uuid.uuid4()}"
    writers = [new_client(user) for _ in range(6)]
    readers = [new_client(user) for _ in range(6)]
    conversation = new_conversation(writers[0])

    def write(client: httpx.Client) -> list[str]:
        for number in range(10):
            post_message(client, conversation, f"Message {number}")
        return []

    def follow(client: httpx.Client) -> list[str]:
        """Follow the log, and connect again after every seventh change."""
        found: list[str] = []
        while len(found) < 61:
            with following_changes(client, after=len(found)) as stream:
                some: Iterator[str] = (each.data["id"] for each in stream)
                found += islice(some, min(7, 61 - len(found)))
        return found

    acts: list[Callable[[], list[str]]] = [partial(write, each) for each in writers]
    acts += [partial(follow, each) for each in readers]
    followed = at_once(acts)[len(writers) :]

    stored = read(writers[0], f"/conversations/{conversation['id']}/messages", limit=500)
    expected = [conversation["id"], *(each["id"] for each in stored["messages"])]
    assert followed == [expected] * 6
    assert position(readers[0]) == 61
