"""Concurrent clients lose, repeat and miscount nothing, and none of them gets a 5xx."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import httpx
import pytest

from tests.calls import (
    Json,
    at_once,
    attempts,
    change,
    create,
    get_conversation,
    ids,
    messages_of,
    new_conversation,
    new_run,
    pages,
    post_message,
    read,
    read_all,
    rows,
)
from tests.servers import Server

WRITERS = 32
SETTINGS = "/users/me/chat-settings"


def race(*, usual: int, thorough: int) -> pytest.MarkDecorator:
    """Repeat a test, more often in the Hypothesis profile `ci`."""
    return pytest.mark.parametrize("attempt", range(attempts(usual, thorough)))


@pytest.fixture(scope="module")
def crowd(server: Server) -> Iterator[list[httpx.Client]]:
    """Connections of one user."""
    user_id = f"crowd-{uuid.uuid4()}"
    with ExitStack() as stack:
        yield [stack.enter_context(server.client(user_id)) for _ in range(WRITERS)]


@pytest.fixture
def shared(crowd: list[httpx.Client]) -> Json:
    """A new conversation of that user, with the default title."""
    return new_conversation(crowd[0])


def is_subsequence(part: list[str], whole: list[str]) -> bool:
    """Return whether `whole` contains the items of `part` in the same order."""
    places = iter(whole)
    return all(item in places for item in part)


@pytest.mark.parametrize("linked", [False, True], ids=["", "of a run"])
def test_create_message_by_concurrent_writers_keeps_one_order(
    crowd: list[httpx.Client], shared: Json, linked: bool
) -> None:
    run = new_run(crowd[0], conversation_id=shared["id"])
    extra = {"run_id": run["id"], "tool_calls": [{"tool_name": "t"}]} if linked else {}

    def write(writer: int) -> list[Json]:
        client = crowd[writer]
        contents = [f"{writer}.{number}\n" + "text " * 30 for number in range(8)]
        return [post_message(client, shared, content, **extra) for content in contents]

    written = at_once([partial(write, writer) for writer in range(WRITERS)])

    posted = {message["id"]: message for own in written for message in own}
    found = read_all(crowd[0], messages_of(shared), limit=37)
    assert len(posted) == WRITERS * 8
    assert len(found) == len(posted)
    assert {message["id"]: message for message in found} == posted
    assert read(crowd[0], messages_of(shared), limit=500)["messages"] == found
    assert read_all(crowd[0], messages_of(shared), order="desc", limit=41) == found[::-1]
    assert read(crowd[0], f"/conversations/{shared['id']}", message_limit=500)["messages"] == found
    times = [message["created_at"] for message in found]
    assert times == sorted(times)
    assert all(is_subsequence(ids(own), ids(found)) for own in written)
    assert get_conversation(crowd[0], shared) == shared | {
        "title": found[0]["content"].splitlines()[0],
        "message_count": len(posted),
        "updated_at": times[-1],
        "last_message": {
            "role": "user",
            "content": found[-1]["content"][:100],
            "created_at": times[-1],
        },
    }


def test_create_message_in_several_conversations_counts_each(
    crowd: list[httpx.Client],
) -> None:
    conversations = [new_conversation(crowd[0]) for _ in range(4)]

    def write(writer: int) -> None:
        for number in range(8):
            post_message(crowd[writer], conversations[(writer + number) % 4], f"{writer}.{number}")

    at_once([partial(write, writer) for writer in range(WRITERS)])

    for conversation in conversations:
        found = read_all(crowd[0], messages_of(conversation))
        now = get_conversation(crowd[0], conversation)
        assert now["message_count"] == len(found) == WRITERS * 2
        assert now["last_message"]["content"] == found[-1]["content"]
        assert now["updated_at"] == found[-1]["created_at"]


def test_create_conversation_by_concurrent_clients_lists_all(
    crowd: list[httpx.Client],
) -> None:
    before = {row["id"] for row in read_all(crowd[0], "/conversations")}

    def write(client: httpx.Client) -> list[str]:
        return ids([new_conversation(client) for _ in range(4)])

    made = [
        row_id for own in at_once([partial(write, client) for client in crowd]) for row_id in own
    ]

    found = ids(read_all(crowd[0], "/conversations", limit=23))
    assert len(found) == len(set(found))
    assert set(found) == before | set(made)


@race(usual=1, thorough=4)
def test_get_and_update_chat_settings_of_a_new_user_create_one_row(
    new_client: Callable[..., httpx.Client], attempt: int
) -> None:
    user_id = f"new-{uuid.uuid4()}"
    changes: list[Json] = [
        {"model": "llama-3.3-70b"},
        {"max_tokens": 4000},
        {"temperature": 1.5},
        {"enabled_tools": ["calculator"]},
    ]
    expected = {name: value for body in changes for name, value in body.items()}

    def put(client: httpx.Client, body: Json) -> Json:
        response = client.put(SETTINGS, json=body)
        assert response.status_code == 200, response.text
        saved: Json = response.json()
        assert saved | body == saved
        return saved

    puts = [partial(put, new_client(user_id), body) for body in changes * 2]
    gets = [partial(read, new_client(user_id), SETTINGS) for _ in range(8)]
    answers = at_once([act for pair in zip(puts, gets, strict=True) for act in pair])

    final = read(new_client(user_id), SETTINGS)
    assert final | expected == final
    assert final["enabled_agents"] == []
    defaults: Json = {"model": None, "max_tokens": 2000, "temperature": 0.7, "enabled_tools": []}
    for answer in answers:
        assert (answer["id"], answer["created_at"]) in {
            (final["id"], final["created_at"]),
            (None, None),
        }
        assert all(answer[name] in (expected[name], defaults[name]) for name in expected)
    assert final["updated_at"] == max(answer["updated_at"] or "" for answer in answers)


@race(usual=2, thorough=5)
def test_delete_conversation_during_changes_of_its_rows(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    """Late requests fail; messages created in time are deleted, runs lose their conversation."""
    path = f"/conversations/{shared['id']}"
    run = new_run(crowd[0], conversation_id=shared["id"])
    gone = threading.Event()

    def until_gone(client: httpx.Client, method: str, url: str, body: Json) -> list[httpx.Response]:
        answers = [client.request(method, url, json=body)]
        while not gone.is_set():
            answers.append(client.request(method, url, json=body))
        answers.append(client.request(method, url, json=body))
        return answers

    def delete(client: httpx.Client) -> list[httpx.Response]:
        try:
            while read(client, path, message_limit=1)["message_count"] < 5 + attempt:
                pass
            return [client.delete(path)]
        finally:
            gone.set()

    message = {"role": "user", "content": "Hello"}
    posting, linking, starting, moving, renaming, deleting = at_once(
        [
            partial(until_gone, crowd[0], "POST", f"{path}/messages", message),
            partial(
                until_gone, crowd[1], "POST", f"{path}/messages", message | {"run_id": run["id"]}
            ),
            partial(
                until_gone,
                crowd[2],
                "POST",
                "/runs",
                {"agent_id": "a", "conversation_id": shared["id"]},
            ),
            partial(until_gone, crowd[3], "PATCH", f"/runs/{run['id']}", {"output": {"a": 1}}),
            partial(until_gone, crowd[4], "PATCH", path, {"title": "Renamed"}),
            partial(delete, crowd[5]),
        ]
    )

    assert [answer.status_code for answer in deleting] == [204]
    for answers, late in ((posting, 404), (linking, 404), (starting, 422), (renaming, 404)):
        statuses = [answer.status_code for answer in answers]
        made = 200 if answers is renaming else 201
        assert set(statuses) <= {made, late}
        assert statuses == sorted(statuses)  # no success after the first failure
        assert statuses[-1] == late
    assert {answer.status_code for answer in moving} == {200}
    posted = [answer.json()["id"] for answer in posting + linking if answer.status_code == 201]
    assert {crowd[0].get(f"/messages/{row_id}").status_code for row_id in posted} == {404}
    started = [answer.json()["id"] for answer in starting if answer.status_code == 201]
    for run_id in (run["id"], *started):
        assert read(crowd[0], f"/runs/{run_id}")["conversation_id"] is None


@race(usual=1, thorough=3)
def test_delete_conversation_by_concurrent_clients_succeeds_once(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    post_message(crowd[0], shared, "Hello")

    answers = at_once([partial(c.delete, f"/conversations/{shared['id']}") for c in crowd[:8]])

    assert sorted(answer.status_code for answer in answers) == [204, *[404] * 7]


@race(usual=1, thorough=4)
def test_update_conversation_while_messages_are_posted_loses_no_change(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    path = f"/conversations/{shared['id']}"

    def rename(client: httpx.Client, **body: Any) -> Json:
        changed = change(client, path, **body)
        assert changed | body == changed
        return changed

    def write(client: httpx.Client) -> list[Json]:
        return [post_message(client, shared, f"A question {number}") for number in range(6)]

    acts: list[Callable[[], Any]] = [
        partial(rename, crowd[0], title="First", model="first"),
        partial(rename, crowd[1], title="Second", metadata={"second": True}),
        *(partial(write, client) for client in crowd[2:10]),
    ]
    _, _, *written = at_once(acts)

    now = get_conversation(crowd[0], shared)
    posted = read_all(crowd[0], messages_of(shared))
    assert now["title"] in {"First", "Second"}
    assert (now["model"], now["metadata"]) == ("first", {"second": True})
    assert now["message_count"] == len(posted) == sum(map(len, written)) == 48
    assert now["last_message"]["created_at"] == now["updated_at"] == posted[-1]["created_at"]


@race(usual=2, thorough=8)
def test_update_run_with_conflicting_statuses_succeeds_once(
    crowd: list[httpx.Client], attempt: int
) -> None:
    run = new_run(crowd[0], status="running")
    ends = ["succeeded", "failed", "timeout", "cancelled"]

    def end(client: httpx.Client, status: str) -> httpx.Response:
        return client.patch(f"/runs/{run['id']}", json={"status": status, "error": status})

    acts = [partial(end, client, status) for client, status in zip(crowd, ends, strict=False)]
    answers = at_once(acts)

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert won["error"] == won["status"]
    assert read(crowd[0], f"/runs/{run['id']}") == won


def test_update_run_by_concurrent_clients_finishes_it_once(crowd: list[httpx.Client]) -> None:
    run = new_run(crowd[0], status="running")

    def end(client: httpx.Client) -> Json:
        return change(client, f"/runs/{run['id']}", status="cancelled")

    answers = at_once([partial(end, client) for client in crowd[:16]])

    assert len({answer["finished_at"] for answer in answers}) == 1
    assert answers[0]["finished_at"] == min(answer["updated_at"] for answer in answers)
    assert read(crowd[0], f"/runs/{run['id']}") in answers


def test_update_run_by_concurrent_clients_starts_it_once(crowd: list[httpx.Client]) -> None:
    run = new_run(crowd[0])

    def start(client: httpx.Client) -> Json:
        return change(client, f"/runs/{run['id']}", status="running")

    answers = at_once([partial(start, client) for client in crowd[:16]])

    assert {answer["started_at"] for answer in answers} == {
        min(answer["updated_at"] for answer in answers)
    }


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
