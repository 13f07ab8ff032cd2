"""Editors post messages with idempotency keys, which belong to the user who sends them."""

import httpx

from tests.calls import Json, messages_of, new_conversation, read, refusals
from tests.contract import assert_problem
from tests.sharing.members import NewClient, share, unshare


def test_editor_repeats_create_message_with_a_key(
    alice: httpx.Client, bob: httpx.Client, new_client: NewClient, conversation: Json
) -> None:
    carol, other = new_client(), new_conversation(alice)
    for each in (bob, carol):
        share(alice, conversation["id"], each, "editor")
    share(alice, other["id"], bob, "editor")
    key = {"Idempotency-Key": "the-same-key-for-all"}
    body = {"role": "user", "content": "Hello"}

    def post(client: httpx.Client, to: Json, **changes: str) -> httpx.Response:
        return client.post(messages_of(to), json=body | changes, headers=key)

    first = [post(each, conversation) for each in (alice, bob, carol)]
    second = [post(each, conversation) for each in (alice, bob, carol)]
    elsewhere = post(bob, other)

    assert {answer.status_code for answer in (*first, elsewhere)} == {201}
    assert [answer.json() for answer in first] == [answer.json() for answer in second]
    assert len({answer.json()["id"] for answer in (*first, elsewhere)}) == 4
    assert refusals(post(bob, conversation, content="Another")) == {("header", "/Idempotency-Key")}
    assert read(alice, messages_of(conversation))["total"] == 3
    unshare(alice, conversation["id"], bob)
    assert_problem(post(bob, conversation), 403)


def test_editor_cannot_repeat_a_key_of_an_own_object(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")
    key, body = {"Idempotency-Key": "the-same-key"}, {"role": "user", "content": "Hello"}
    own = messages_of(new_conversation(bob))

    assert bob.post(own, json=body, headers=key).status_code == 201
    response = bob.post(messages_of(conversation), json=body, headers=key)

    assert refusals(response) == {("header", "/Idempotency-Key")}
