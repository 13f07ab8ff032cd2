"""Feedback on messages. Each user has one for each message, and sees only their own."""

from functools import partial
from typing import Any

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    Json,
    at_once,
    get_conversation,
    ids,
    messages_of,
    new_conversation,
    post_message,
    read,
    read_all,
    refusals,
)
from tests.contract import assert_problem
from tests.mirror import changes_after, position
from tests.sharing.members import NewClient, share, unshare, user_of

UP: Json = {"rating": "up", "tags": ["clear", "fast"], "comment": "Exactly what I needed."}
DOWN: Json = {"rating": "down", "tags": [], "comment": None}


@pytest.fixture
def message(alice: httpx.Client, conversation: Json) -> Json:
    return post_message(alice, conversation, "South grew fastest.", role="assistant")


def path_of(message: Json) -> str:
    return f"/messages/{message['id']}/feedback"


def rate(client: httpx.Client, message: Json, body: Json = UP) -> Json:
    """Set feedback; return it."""
    response = client.put(path_of(message), json=body)
    assert response.status_code == 200, response.text
    feedback: Json = response.json()
    return feedback


def shown(client: httpx.Client, message: Json) -> Any:
    """Return the feedback that the message shows to the client."""
    return read(client, f"/messages/{message['id']}")["feedback"]


def test_set_feedback_shows_in_the_message_wherever_it_is_read(
    alice: httpx.Client, conversation: Json, message: Json
) -> None:
    other = post_message(alice, conversation, "Thanks")
    assert message["feedback"] is None

    assert rate(alice, message) == UP

    found = read(alice, f"/messages/{message['id']}")
    assert found == message | {"feedback": UP}
    assert read_all(alice, messages_of(conversation)) == [found, other]
    assert read(alice, f"/conversations/{conversation['id']}")["messages"] == [found, other]


def test_set_feedback_replaces_the_earlier_one(alice: httpx.Client, message: Json) -> None:
    rate(alice, message)

    assert rate(alice, message, {"rating": "down"}) == DOWN
    assert shown(alice, message) == DOWN
    assert rate(alice, message, DOWN) == DOWN
    nulls = {"rating": "up", "tags": None, "comment": None}
    assert rate(alice, message, nulls) == DOWN | {"rating": "up"}


def test_set_feedback_leaves_message_and_conversation_as_they_are(
    alice: httpx.Client, conversation: Json, message: Json
) -> None:
    before = get_conversation(alice, conversation)

    rate(alice, message)

    assert get_conversation(alice, conversation) == before
    assert read(alice, f"/messages/{message['id']}") == message | {"feedback": UP}


def test_delete_feedback_leaves_none(alice: httpx.Client, message: Json) -> None:
    rate(alice, message)

    assert alice.delete(path_of(message)).status_code == 204

    assert read(alice, f"/messages/{message['id']}") == message
    before = position(alice)
    assert_problem(alice.delete(path_of(message)), 404)
    assert list(changes_after(alice, before)) == []


def test_set_feedback_changes_the_etag_of_the_message(alice: httpx.Client, message: Json) -> None:
    path = f"/messages/{message['id']}"
    before = alice.get(path).headers["etag"]

    rate(alice, message)
    rated = alice.get(path, headers={"If-None-Match": before})
    assert rated.status_code == 200
    rate(alice, message)
    known = {"If-None-Match": rated.headers["etag"]}
    assert alice.get(path, headers=known).status_code == 304
    alice.delete(path_of(message))
    assert alice.get(path).headers["etag"] == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/rating"),
        ({"rating": None}, "/rating"),
        ({"rating": "good"}, "/rating"),
        ({"rating": "up", "tags": ["a"] * 21}, "/tags"),
        ({"rating": "up", "tags": [""]}, "/tags/0"),
        ({"rating": "up", "tags": ["a", "b" * 51]}, "/tags/1"),
        ({"rating": "up", "tags": "a"}, "/tags"),
        ({"rating": "up", "comment": ""}, "/comment"),
        ({"rating": "up", "comment": "c" * 2001}, "/comment"),
        ({"rating": "up", "comment": "a\0b"}, "/comment"),
    ],
)
def test_set_feedback_refuses_what_breaks_the_contract(
    alice: httpx.Client, message: Json, body: Json, pointer: str
) -> None:
    assert ("body", pointer) in refusals(alice.put(path_of(message), json=body))
    assert shown(alice, message) is None


@pytest.mark.parametrize(
    "text", ["\U0001f44d" * 2000, '"\\\u2028', "\x01\x1f\x7f", "' || '{}", "%s %(reader)s {}"]
)
def test_set_feedback_keeps_any_text(alice: httpx.Client, message: Json, text: str) -> None:
    body = {"rating": "up", "tags": [text[:50]] * 20, "comment": text}

    assert rate(alice, message, body) == body
    assert shown(alice, message) == body


@pytest.mark.parametrize("user_id", ['a"b\\c', "{}", "$.rating", "0", "-1", "ä 👍", "' OR true --"])
def test_feedback_of_users_with_unusual_ids(new_client: NewClient, user_id: str) -> None:
    client = new_client(user_id)
    message = post_message(client, new_conversation(client), "Hello")

    assert rate(client, message) == UP
    assert shown(client, message) == UP
    assert client.delete(path_of(message)).status_code == 204
    assert shown(client, message) is None


def test_feedback_on_another_users_message_is_refused(
    bob: httpx.Client, alice: httpx.Client, message: Json
) -> None:
    rate(alice, message)

    assert_problem(bob.put(path_of(message), json=DOWN), 403)
    assert_problem(bob.delete(path_of(message)), 403)
    assert_problem(bob.put(f"/messages/{NOBODYS_ID}/feedback", json=DOWN), 404)
    assert_problem(bob.delete(f"/messages/{NOBODYS_ID}/feedback"), 404)
    assert shown(alice, message) == UP


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_owner_and_members_see_only_their_own_feedback(
    alice: httpx.Client,
    bob: httpx.Client,
    new_client: NewClient,
    conversation: Json,
    message: Json,
    role: str,
) -> None:
    carol = new_client()
    for member in (bob, carol):
        share(alice, conversation["id"], member, role)
    tags = {client: alice.get(f"/messages/{message['id']}").headers["etag"] for client in (carol,)}

    rate(alice, message)
    rate(bob, message, DOWN)

    assert [shown(client, message) for client in (alice, bob, carol)] == [UP, DOWN, None]
    pages = [read_all(client, messages_of(conversation)) for client in (alice, bob, carol)]
    assert [page[0]["feedback"] for page in pages] == [UP, DOWN, None]
    whole = read(bob, f"/conversations/{conversation['id']}")
    assert whole["messages"][0]["feedback"] == DOWN
    assert carol.get(f"/messages/{message['id']}").headers["etag"] == tags[carol]
    assert_problem(carol.delete(path_of(message)), 404)
    assert bob.delete(path_of(message)).status_code == 204
    assert [shown(client, message) for client in (alice, bob)] == [UP, None]


def test_feedback_is_told_only_to_its_user(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, message: Json
) -> None:
    share(alice, conversation["id"], bob)
    before = {client: position(client) for client in (alice, bob)}

    rate(bob, message)
    rate(bob, message)

    (change,) = changes_after(bob, before[bob])
    assert (change["type"], change["id"]) == ("message.updated", message["id"])
    assert change["conversation_id"] == conversation["id"]
    assert change["etag"] == bob.get(f"/messages/{message['id']}").headers["etag"]
    assert list(changes_after(alice, before[alice])) == []
    listed = read(bob, "/conversations")["conversations"][0]
    assert listed == get_conversation(bob, conversation)


def test_former_member_cannot_rate_and_finds_the_feedback_again_later(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, message: Json
) -> None:
    share(alice, conversation["id"], bob)
    rate(bob, message)
    unshare(alice, conversation["id"], bob)

    assert_problem(bob.put(path_of(message), json=DOWN), 403)
    assert_problem(bob.delete(path_of(message)), 403)
    assert shown(alice, message) is None

    share(alice, conversation["id"], bob)
    assert shown(bob, message) == UP


def test_feedback_of_many_users_at_once_is_kept(
    alice: httpx.Client, new_client: NewClient, conversation: Json, message: Json
) -> None:
    members = [new_client() for _ in range(8)]
    for member in members:
        share(alice, conversation["id"], member)
    everybody = [alice, *members]

    def rate_often(client: httpx.Client) -> None:
        for number in range(5):
            rate(client, message, UP | {"comment": f"{user_of(client)} {number}"})

    at_once([partial(rate_often, client) for client in everybody])

    comments = [shown(client, message)["comment"] for client in everybody]
    assert comments == [f"{user_of(client)} 4" for client in everybody]


def test_feedback_and_messages_at_once_do_not_block_each_other(
    alice: httpx.Client, conversation: Json, message: Json
) -> None:
    posted = at_once(
        [lambda: rate(alice, message), *[lambda: post_message(alice, conversation, "Hello")] * 5]
    )

    assert posted[0] == UP
    assert len(ids(read_all(alice, messages_of(conversation)))) == 6


def test_deleted_conversation_takes_its_feedback_with_it(
    alice: httpx.Client, conversation: Json, message: Json
) -> None:
    rate(alice, message)

    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 204

    assert_problem(alice.put(path_of(message), json=UP), 404)
