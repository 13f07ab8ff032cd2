"""Posting, reading and listing messages over HTTP, and what their conversation shows of them."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    Json,
    get_conversation,
    ids,
    messages_of,
    new_conversation,
    new_run,
    post_message,
    read,
    read_all,
    refusals,
)


def test_create_message_rejects_unknown_and_other_users_runs(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    for run_id in (NOBODYS_ID, new_run(bob)["id"]):
        body = {"role": "user", "content": "Hello", "run_id": run_id}

        response = alice.post(messages_of(conversation), json=body)

        assert refusals(response) == {("body", "/run_id")}
        assert get_conversation(alice, conversation) == conversation


def test_create_message_accepts_a_run_of_another_conversation(
    alice: httpx.Client, conversation: Json
) -> None:
    run = new_run(alice, conversation_id=new_conversation(alice)["id"])

    message = post_message(alice, conversation, "Hello", run_id=run["id"].upper())

    assert message["run_id"] == run["id"]


def test_create_message_in_an_unknown_conversation_is_not_found(alice: httpx.Client) -> None:
    body = {"role": "user", "content": "Hello", "run_id": NOBODYS_ID}

    response = alice.post(f"/conversations/{NOBODYS_ID}/messages", json=body)

    assert response.status_code == 404


def test_create_message_returns_its_location(alice: httpx.Client, conversation: Json) -> None:
    body = {"role": "user", "content": "Hello"}

    response = alice.post(messages_of(conversation), json=body)

    location = response.headers["location"]
    assert location == f"/messages/{response.json()['id']}"
    assert read(alice, location) == response.json()


@pytest.mark.parametrize("role", ["user", "assistant", "system"])
def test_create_message_updates_its_conversation(alice: httpx.Client, role: str) -> None:
    conversation = new_conversation(alice, title="Mine", model="m", metadata={"a": 1})

    for number in range(1, 4):
        message = post_message(alice, conversation, f"message {number}", role=role)

        expected = conversation | {
            "message_count": number,
            "unread_count": 0 if role == "user" else number,
            "updated_at": message["created_at"],
            "last_message": {
                "role": role,
                "content": f"message {number}",
                "created_at": message["created_at"],
            },
        }
        assert get_conversation(alice, conversation) == expected
        assert read(alice, "/conversations")["conversations"] == [expected]


def test_create_message_is_previewed_by_its_first_100_characters(
    alice: httpx.Client, conversation: Json, subtests: pytest.Subtests
) -> None:
    for character in ["x", "ß", "租", "🚀", "\u0301", "\n", "\u200f"]:
        for length in [1, 99, 100, 101, 250]:
            with subtests.test(character=character, length=length):
                post_message(alice, conversation, character * length)
                last = get_conversation(alice, conversation)["last_message"]
                assert last["content"] == character * min(length, 100)


def test_create_message_changes_no_other_conversation(
    alice: httpx.Client, conversation: Json
) -> None:
    other = new_conversation(alice)

    post_message(alice, conversation, "Hello")

    assert get_conversation(alice, other) == other
    assert read(alice, messages_of(other))["messages"] == []


def test_create_message_times_never_go_backwards(alice: httpx.Client, conversation: Json) -> None:
    posted = [post_message(alice, conversation, str(number)) for number in range(20)]

    times = [datetime.fromisoformat(message["created_at"]) for message in posted]

    assert times == sorted(times)
    assert times[0] >= datetime.fromisoformat(conversation["created_at"])


def test_list_messages_follows_the_order_of_posting(
    alice: httpx.Client, conversation: Json
) -> None:
    roles = ["user", "assistant", "system", "user", "user"]
    posted = [post_message(alice, conversation, "Same", role=role) for role in roles]

    path = messages_of(conversation)

    assert read_all(alice, path) == posted
    assert read_all(alice, path, order="asc") == posted
    assert read_all(alice, path, order="desc") == posted[::-1]


def test_list_messages_reports_its_default_page(alice: httpx.Client, conversation: Json) -> None:
    assert read(alice, messages_of(conversation)) == {
        "messages": [],
        "total": 0,
        "limit": 100,
        "offset": 0,
        "next_cursor": None,
    }


def test_list_messages_of_an_unknown_conversation_is_not_found(alice: httpx.Client) -> None:
    assert alice.get(f"/conversations/{NOBODYS_ID}/messages").status_code == 404


def test_get_message_by_an_unknown_id_is_not_found(alice: httpx.Client) -> None:
    response = alice.get(f"/messages/{NOBODYS_ID}")

    assert response.status_code == 404
    assert response.json()["type"] == "/problems/not-found"


def test_get_message_accepts_an_uppercase_id(alice: httpx.Client, conversation: Json) -> None:
    message = post_message(alice, conversation, "Hello")

    assert read(alice, f"/messages/{message['id'].upper()}") == message


def test_get_message_is_unchanged_after_its_run_ends(
    alice: httpx.Client, conversation: Json
) -> None:
    run = new_run(alice, conversation_id=conversation["id"])
    message = post_message(alice, conversation, "Hello", run_id=run["id"])

    alice.patch(f"/runs/{run['id']}", json={"status": "cancelled"})

    assert read(alice, f"/messages/{message['id']}") == message


def test_list_messages_shows_only_the_users_own(
    new_client: Callable[..., httpx.Client], alice: httpx.Client, conversation: Json
) -> None:
    other = new_client()
    theirs = post_message(other, new_conversation(other), "Theirs")
    mine = post_message(alice, conversation, "Mine")

    assert ids(read_all(alice, messages_of(conversation))) == [mine["id"]]
    assert ids(read_all(other, messages_of({"id": theirs["conversation_id"]}))) == [theirs["id"]]


def test_create_message_accepts_metadata_with_many_properties(
    alice: httpx.Client, conversation: Json
) -> None:
    metadata: dict[str, Any] = {f"property {number}": "🚀" * 20 for number in range(10_000)}

    message = post_message(alice, conversation, "Hello", metadata=metadata)

    assert read(alice, f"/messages/{message['id']}")["metadata"] == metadata
