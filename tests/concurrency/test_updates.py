"""Concurrent changes of settings, conversations and runs: none is lost, and a run ends once."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from tests.calls import (
    Json,
    at_once,
    change,
    get_conversation,
    messages_of,
    new_run,
    post_message,
    read,
    read_all,
)
from tests.concurrency.races import race

SETTINGS = "/users/me/chat-settings"


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
