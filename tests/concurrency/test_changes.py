"""The log of changes under concurrent writers and readers: complete, in order, without gaps."""

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import httpx
import pytest

from db import engine
from tests.calls import (
    at_once,
    change,
    messages_of,
    new_attachment,
    new_conversation,
    new_run,
    post_message,
    read,
)
from tests.concurrency.races import race
from tests.db.rows import insert_message
from tests.mirror import SETTINGS, Mirror, changes_after, position, state

WRITERS = 8
MIRRORS = 3
WRITES = 40


def write_anything(client: httpx.Client, seed: str) -> None:
    """Change random objects of the user, which other writers change and delete too."""
    choice = random.Random(seed)  # repeatable, not secret
    for number in range(WRITES):
        conversations = read(client, "/conversations", limit=5)["conversations"]
        runs = read(client, "/runs", limit=5)["runs"]
        some = choice.choice(conversations) if conversations else new_conversation(client)
        path = f"/conversations/{some['id']}"
        match choice.randrange(15):
            case 0:
                new_conversation(client, title=f"{seed} {number}")
            case 1:
                client.delete(path)
            case 2:
                client.patch(path, json={"metadata": {"by": f"{seed} {number}"}})
            case 3:
                client.post("/runs", json={"agent_id": "a", "conversation_id": some["id"]})
            case 4 | 5 if runs:
                run = choice.choice(runs)
                status = choice.choice(["running", "succeeded", "failed"])
                client.patch(f"/runs/{run['id']}", json={"status": status, "error": seed})
            case 6:
                client.put(SETTINGS, json={"max_tokens": 1 + choice.randrange(9)})
            case 7 | 8:
                file = new_attachment(client)["id"]
                body = {"role": "user", "content": seed, "attachment_ids": [file]}
                client.post(messages_of(some), json=body)
            case 9:
                for file in read(client, "/chat-attachments", limit=1)["chat_attachments"]:
                    client.delete(f"/chat-attachments/{file['id']}")
            case 10 | 11:
                found = client.get(messages_of(some), params={"limit": 5, "order": "desc"})
                for message in found.json().get("messages", ())[: choice.randrange(3)]:
                    client.patch(f"/messages/{message['id']}", json={"content": f"{seed} {number}"})
            case _:
                body = {"role": "user", "content": f"{seed} {number}"}
                client.post(messages_of(some), json=body)


@race(usual=1, thorough=5)
def test_mirrors_that_follow_the_log_end_with_the_servers_state(
    new_client: Callable[[str], httpx.Client], attempt: int
) -> None:
    user = f"mirrored-{uuid.uuid4()}"
    clients = [new_client(user) for _ in range(WRITERS + MIRRORS)]
    have_ended = threading.Event()

    kept: list[Mirror] = []

    def write_all() -> None:
        try:
            at_once(
                [
                    partial(write_anything, client, f"{attempt} {number}")
                    for number, client in enumerate(clients[:WRITERS])
                ]
            )
        finally:
            have_ended.set()

    def mirror(client: httpx.Client, limit: int) -> None:
        have_ended.wait(0.1 * limit)  # they begin at different times
        copy = Mirror(client)
        while not have_ended.is_set():
            copy.follow(limit)
        copy.follow(limit)
        kept.append(copy)

    mirrors: list[Callable[[], None]] = [
        partial(mirror, client, 1 + 5 * n) for n, client in enumerate(clients[WRITERS:])
    ]
    at_once([write_all, *mirrors])

    expected = state(clients[0])
    end = position(clients[0])
    assert len(kept) == MIRRORS
    for each in kept:
        assert each.position == end
        assert each.documents == expected
    assert len(list(changes_after(clients[0], 0))) == end > WRITERS * WRITES / 2


@race(usual=1, thorough=4)
def test_every_reader_sees_the_same_numbers(
    new_client: Callable[[str], httpx.Client], attempt: int
) -> None:
    user = f"read-{uuid.uuid4()}"
    clients = [new_client(user) for _ in range(16)]
    conversation = new_conversation(clients[0])

    def write(client: httpx.Client) -> list[str]:
        return [post_message(client, conversation, f"Message {n}")["id"] for n in range(10)]

    def follow(client: httpx.Client) -> list[str]:
        found: list[str] = []
        while len(found) < 81:
            found += [each["id"] for each in changes_after(client, len(found))]
        return found

    written = [partial(write, client) for client in clients[:8]]
    followed = [partial(follow, client) for client in clients[8:]]
    results = at_once([*written, *followed])

    for each in results[8:]:
        assert each == results[8]
    assert sorted(results[8][1:]) == sorted(chain.from_iterable(results[:8]))
    # The messages of a conversation are in its order.
    stored = read(clients[0], messages_of(conversation), limit=500)["messages"]
    assert results[8][1:] == [each["id"] for each in stored]


@pytest.fixture
def configured(database_url: str) -> Iterator[None]:
    engine.configure(database_url, pool_size=2, statement_timeout_ms=10_000)
    yield
    engine.dispose()


def test_change_that_is_committed_late_is_neither_skipped_nor_seen_early(
    alice: httpx.Client, configured: None
) -> None:
    slow, quick = new_conversation(alice), new_conversation(alice)
    start = position(alice)

    with engine.transaction() as connection:
        late = insert_message(connection, slow["id"], slow["user_id"])
        early = post_message(alice, quick, "Written later, committed earlier")
        before = list(changes_after(alice, start))
    after = list(changes_after(alice, start + 1))

    assert [(each["sequence"], each["id"]) for each in before] == [(start + 1, early["id"])]
    assert [(each["sequence"], each["id"]) for each in after] == [(start + 2, late)]
    assert after[0]["at"] < before[0]["at"]


def test_change_that_is_rolled_back_is_not_in_the_log(
    alice: httpx.Client, configured: None
) -> None:
    conversation = new_conversation(alice)
    start = position(alice)

    with engine.autocommit() as connection:
        connection.execute("BEGIN").close()
        insert_message(connection, conversation["id"], conversation["user_id"])
        assert position(alice) == start
        connection.execute("ROLLBACK").close()
    change(alice, f"/conversations/{conversation['id']}", title="Next")

    assert [each["type"] for each in changes_after(alice, start)] == ["conversation.updated"]
    assert position(alice) == start + 1


def test_writers_do_not_wait_for_a_reader_that_numbers(
    alice: httpx.Client, configured: None, database_url: str
) -> None:
    user = new_run(alice)["created_by"]
    position(alice)

    with engine.transaction() as connection:
        connection.execute(
            "SELECT FROM change_positions WHERE user_id = %(user)s FOR UPDATE", {"user": user}
        ).close()
        for number in range(3):
            new_run(alice, agent_id=f"agent-{number}")

    assert position(alice) == 4
