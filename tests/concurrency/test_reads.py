"""Reading while others write: pages and conversations show no half-written state."""

import threading
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from tests.calls import (
    Json,
    at_once,
    create,
    get_conversation,
    ids,
    messages_of,
    new_conversation,
    pages,
    post_message,
    read,
    read_all,
    rows,
)


def test_list_messages_by_cursor_skips_nothing_while_others_post(
    crowd: list[httpx.Client], shared: Json
) -> None:
    """A forward pass sees the first messages, a backward pass the same in reverse."""
    done = threading.Event()
    path = messages_of(shared)
    written = threading.Semaphore(0)

    def write(client: httpx.Client) -> None:
        try:
            for number in range(25):
                post_message(client, shared, str(number))
        finally:
            written.release()

    def wait() -> None:
        for _ in range(8):
            written.acquire()
        done.set()

    def read_on(client: httpx.Client, order: str) -> list[list[str]]:
        passes = []
        while not done.is_set():
            found = pages(client, path, order=order, limit=7)
            passes.append([row_id for page in found for row_id in ids(rows(page))])
        return passes

    acts: list[Callable[[], Any]] = [
        *(partial(write, client) for client in crowd[:8]),
        partial(read_on, crowd[8], "asc"),
        partial(read_on, crowd[9], "desc"),
        wait,
    ]
    *_, forwards, backwards, _ = at_once(acts)

    final = ids(read_all(crowd[0], path))
    assert len(final) == 200
    assert forwards
    assert backwards
    for seen in forwards:
        assert seen == final[: len(seen)]
    for seen in backwards:
        assert seen == final[: len(seen)][::-1]


def test_list_conversations_by_cursor_repeats_nothing_while_others_create(
    new_client: Callable[..., httpx.Client],
) -> None:
    user_id = f"maker-{uuid.uuid4()}"
    clients = [new_client(user_id) for _ in range(5)]
    before = ids([new_conversation(clients[0]) for _ in range(40)])

    def write(client: httpx.Client) -> None:
        for _ in range(15):
            new_conversation(client)

    acts: list[Callable[[], Any]] = [
        *(partial(write, client) for client in clients[:4]),
        partial(read_all, clients[4], "/conversations", limit=3),
    ]
    *_, found = at_once(acts)

    seen = ids(found)
    assert len(seen) == len(set(seen))
    assert seen[-40:] == before[::-1]
    assert read(clients[0], "/conversations")["total"] == 100


def test_get_conversation_never_shows_half_of_a_new_message(
    crowd: list[httpx.Client], shared: Json
) -> None:
    """Count, preview and time in one response always belong to the same message."""
    path = messages_of(shared)

    def write(client: httpx.Client, writer: int) -> None:
        for number in range(20):
            create(client, path, role="user", content=f"{writer}.{number}")

    def watch(client: httpx.Client) -> list[Json]:
        seen = [get_conversation(client, shared)]
        while seen[-1]["message_count"] < 80:
            seen.append(get_conversation(client, shared))
        return seen

    acts: list[Callable[[], Any]] = [
        *(partial(write, client, number) for number, client in enumerate(crowd[:4])),
        partial(watch, crowd[4]),
    ]
    *_, seen = at_once(acts)

    posted = read_all(crowd[0], path)
    for state in seen:
        if state["message_count"]:
            message = posted[state["message_count"] - 1]
            assert state["last_message"]["content"] == message["content"]
            assert state["updated_at"] == message["created_at"]
            assert state["title"] == posted[0]["content"]
