"""Branches of a conversation over HTTP: replies to earlier messages, and which branch is active."""

from typing import Any

import httpx
import pytest

from tests.branches.calls import activate, tree_of
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


def test_create_message_answers_the_last_message(alice: httpx.Client, conversation: Json) -> None:
    first = post_message(alice, conversation, "one")
    second = post_message(alice, conversation, "two")
    third = post_message(alice, conversation, "three", parent_id=second["id"].upper())

    parents = [message["parent_id"] for message in (first, second, third)]
    assert parents == [None, first["id"], second["id"]]
    for message in (first, second, third):
        assert (message["sibling_index"], message["sibling_count"]) == (1, 1)
        assert message["active"]
        assert read(alice, f"/messages/{message['id']}") == message
    for order in ("asc", "desc"):
        for limit in (1, 2, 3, 4):
            listed = read_all(alice, messages_of(conversation), order=order, limit=limit)
            assert sorted(listed, key=lambda each: each["created_at"]) == [first, second, third]
    for offset in range(3):
        page = read(alice, messages_of(conversation), offset=offset, limit=1)
        assert page["messages"] == [[first, second, third][offset]]


@pytest.mark.parametrize("names", ["parent_id", "sibling_of"])
def test_create_message_starts_a_branch(
    alice: httpx.Client, conversation: Json, names: str
) -> None:
    question = post_message(alice, conversation, "question")
    answer = post_message(alice, conversation, "answer", role="assistant")
    thanks = post_message(alice, conversation, "thanks")

    place = {"parent_id": question["id"]} if names == "parent_id" else {"sibling_of": answer["id"]}
    other = post_message(alice, conversation, "other", role="assistant", **place)

    assert other["parent_id"] == question["id"]
    assert (other["sibling_index"], other["sibling_count"], other["active"]) == (2, 2, True)
    assert read_all(alice, messages_of(conversation)) == [question, other]
    hidden = answer | {"sibling_count": 2, "active": False}
    assert tree_of(alice, conversation) == [question, hidden, thanks | {"active": False}, other]
    assert read(alice, f"/messages/{answer['id']}") == hidden
    stored = get_conversation(alice, conversation)
    assert stored["message_count"] == 2
    assert stored["last_message"]["content"] == "other"
    assert stored["updated_at"] == other["created_at"]


def test_create_message_as_sibling_of_the_first_message(
    alice: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "one")
    post_message(alice, conversation, "two")

    other = post_message(alice, conversation, "another", sibling_of=first["id"])

    assert other["parent_id"] is None
    assert (other["sibling_index"], other["sibling_count"]) == (2, 2)
    assert read_all(alice, messages_of(conversation)) == [other]
    assert get_conversation(alice, conversation)["message_count"] == 1


def test_create_message_after_a_branch_goes_on_with_it(
    alice: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "one")
    second = post_message(alice, conversation, "two")
    other = post_message(alice, conversation, "three", parent_id=first["id"])

    last = post_message(alice, conversation, "four")

    assert last["parent_id"] == other["id"]
    assert ids(read_all(alice, messages_of(conversation))) == ids([first, other, last])
    assert activate(alice, conversation, second)["message_count"] == 2
    assert read(alice, f"/messages/{last['id']}") == last | {"active": False}


def test_create_message_below_a_hidden_message_shows_its_branch(
    alice: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "one")
    second = post_message(alice, conversation, "two")
    third = post_message(alice, conversation, "three")
    post_message(alice, conversation, "other", parent_id=first["id"])

    last = post_message(alice, conversation, "last", parent_id=third["id"])

    path = read_all(alice, messages_of(conversation))
    assert ids(path) == ids([first, second, third, last])
    assert last["sibling_count"] == 1


@pytest.mark.parametrize("name", ["parent_id", "sibling_of"])
def test_create_message_rejects_a_message_of_another_conversation(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, name: str
) -> None:
    of_other = post_message(alice, new_conversation(alice), "elsewhere")["id"]
    of_bob = post_message(bob, new_conversation(bob), "Bob's")["id"]

    for wrong in (of_other, of_bob, NOBODYS_ID):
        body = {"role": "user", "content": "Hello", name: wrong}
        response = alice.post(messages_of(conversation), json=body)

        assert refusals(response) == {("body", f"/{name}")}
    assert get_conversation(alice, conversation) == conversation


def test_create_message_rejects_a_parent_and_a_sibling(
    alice: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "one")["id"]
    body = {"role": "user", "content": "Hello", "parent_id": first, "sibling_of": first}

    response = alice.post(messages_of(conversation), json=body)

    assert refusals(response) == {("body", "/sibling_of")}


def test_create_message_repeats_a_branch_once_with_a_key(
    alice: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "one")
    body = {"role": "user", "content": "Hello", "sibling_of": first["id"]}

    responses = [
        alice.post(messages_of(conversation), json=body, headers={"Idempotency-Key": "a-branch"})
        for _ in range(2)
    ]

    assert responses[0].json() == responses[1].json()
    assert len(tree_of(alice, conversation)) == 2


def test_update_run_posts_its_message_on_a_branch(alice: httpx.Client, conversation: Json) -> None:
    question = post_message(alice, conversation, "question")
    answer = post_message(alice, conversation, "answer", role="assistant")
    run = new_run(alice, conversation_id=conversation["id"], status="running")
    body: dict[str, Any] = {"role": "assistant", "content": "again", "sibling_of": NOBODYS_ID}

    response = alice.patch(f"/runs/{run['id']}", json={"status": "succeeded", "message": body})
    assert refusals(response) == {("body", "/message/sibling_of")}

    body["sibling_of"] = answer["id"]
    response = alice.patch(f"/runs/{run['id']}", json={"status": "succeeded", "message": body})
    assert response.status_code == 200
    path = read_all(alice, messages_of(conversation))
    assert [message["content"] for message in path] == ["question", "again"]
    assert path[1]["parent_id"] == question["id"]
    assert path[1]["run_id"] == run["id"]


def test_activate_message_switches_to_the_newest_message_below_it(
    alice: httpx.Client, conversation: Json
) -> None:
    one = post_message(alice, conversation, "1")
    two = post_message(alice, conversation, "2")
    three = post_message(alice, conversation, "3")
    other = post_message(alice, conversation, "2b", sibling_of=two["id"])
    four = post_message(alice, conversation, "4", parent_id=two["id"])
    activate(alice, conversation, other)

    stored = activate(alice, conversation, two)

    assert ids(read_all(alice, messages_of(conversation))) == ids([one, two, four])
    assert stored == get_conversation(alice, conversation)
    assert stored["message_count"] == 3
    assert stored["last_message"] == {
        "role": "user",
        "content": "4",
        "created_at": four["created_at"],
    }
    assert stored["updated_at"] == four["created_at"]
    assert activate(alice, conversation, two) == stored
    activate(alice, conversation, three)
    assert ids(read_all(alice, messages_of(conversation))) == ids([one, two, three])
    activate(alice, conversation, one)
    assert ids(read_all(alice, messages_of(conversation))) == ids([one, two, four])


def test_activate_message_rejects_a_message_of_another_conversation(
    alice: httpx.Client, conversation: Json
) -> None:
    post_message(alice, conversation, "one")
    elsewhere = post_message(alice, new_conversation(alice), "elsewhere")
    path = f"/conversations/{conversation['id']}/active-message"

    for wrong in (elsewhere["id"], NOBODYS_ID):
        response = alice.put(path, json={"message_id": wrong})
        assert refusals(response) == {("body", "/message_id")}


@pytest.mark.parametrize("how", ["activate", "post", "delete"])
def test_messages_that_were_read_stay_read_below_another_first_message(
    alice: httpx.Client, conversation: Json, how: str
) -> None:
    greeting = post_message(alice, conversation, "Good morning.", role="assistant")
    question = post_message(alice, conversation, "question")
    other = post_message(alice, conversation, "Hello.", role="assistant", sibling_of=greeting["id"])
    assert get_conversation(alice, conversation)["unread_count"] == 1

    if how == "activate":
        activate(alice, conversation, greeting)
    elif how == "delete":
        alice.delete(f"/messages/{other['id']}").raise_for_status()
    else:
        answer = {"role": "assistant", "parent_id": question["id"]}
        post_message(alice, conversation, "answer", **answer)

    unread_count = 1 if how == "post" else 0
    assert get_conversation(alice, conversation)["unread_count"] == unread_count


def test_activate_message_counts_unread_messages_of_the_branch(
    alice: httpx.Client, conversation: Json
) -> None:
    question = post_message(alice, conversation, "question")
    first = post_message(alice, conversation, "first", role="assistant")
    alice.put(f"/conversations/{conversation['id']}/read", json={})
    second = post_message(alice, conversation, "second", role="assistant", parent_id=question["id"])
    assert get_conversation(alice, conversation)["unread_count"] == 1

    assert activate(alice, conversation, first)["unread_count"] == 0
    assert activate(alice, conversation, second)["unread_count"] == 1
    alice.put(f"/conversations/{conversation['id']}/read", json={})
    assert get_conversation(alice, conversation)["unread_count"] == 0


def test_list_changes_reports_branches_and_deleted_messages(
    alice: httpx.Client, conversation: Json
) -> None:
    one = post_message(alice, conversation, "1")
    two = post_message(alice, conversation, "2")
    after = read(alice, "/changes")["last_sequence"]

    other = post_message(alice, conversation, "1b", sibling_of=one["id"])
    activate(alice, conversation, two)
    activate(alice, conversation, two)
    alice.delete(f"/messages/{two['id']}")

    found = read(alice, "/changes", after=after)["changes"]
    assert [(change["type"], change["id"]) for change in found] == [
        ("conversation.branch_activated", conversation["id"]),
        ("message.created", other["id"]),
        ("conversation.branch_activated", conversation["id"]),
        ("message.deleted", two["id"]),
    ]
    stored = alice.get(f"/conversations/{conversation['id']}", params={"include_messages": False})
    assert found[2]["etag"] == stored.headers["etag"]
    assert found[1]["etag"] == alice.get(f"/messages/{other['id']}").headers["etag"]
    assert found[3]["etag"] is None
