"""The number of unread messages while a member's devices mark them as read at the same time."""

from collections.abc import Callable
from functools import partial

import httpx

from tests.calls import Json, at_once, new_conversation, post_message
from tests.concurrency.races import race
from tests.sharing.members import NewClient, share

DEVICES = 3


def mark(client: httpx.Client, conversation: Json, **body: int) -> int:
    return client.put(f"/conversations/{conversation['id']}/read", json=body).status_code


@race(usual=3, thorough=50)
def test_mark_conversation_read_by_a_members_devices_is_never_negative(
    alice: httpx.Client, bob: httpx.Client, attempt: int
) -> None:
    conversation = new_conversation(alice)
    share(alice, conversation["id"], bob)
    for number in range(5):
        post_message(alice, conversation, f"Answer {number}", role="assistant")

    statuses = at_once([partial(mark, bob, conversation)] * DEVICES)

    assert statuses == [200] * DEVICES
    response = bob.get(f"/conversations/{conversation['id']}")
    assert response.status_code == 200, response.text
    assert response.json()["unread_count"] == 0
    assert bob.get("/conversations").status_code == 200


@race(usual=3, thorough=100)
def test_mark_conversation_read_while_the_member_posts_is_never_negative(
    alice: httpx.Client, new_client: NewClient, attempt: int
) -> None:
    bob = new_client()
    conversation = new_conversation(alice)
    share(alice, conversation["id"], bob, "editor")
    for number in range(5):
        post_message(alice, conversation, f"Answer {number}", role="assistant")

    acts: list[Callable[[], object]] = [
        partial(mark, bob, conversation),
        partial(mark, bob, conversation, position=3),
        lambda: post_message(bob, conversation, "Thanks"),
    ]
    at_once(acts)

    response = bob.get(f"/conversations/{conversation['id']}")
    assert response.status_code == 200, response.text
    assert response.json()["unread_count"] == 0


@race(usual=5, thorough=200)
def test_mark_conversation_read_by_a_member_counts_messages_that_arrive_meanwhile_once(
    alice: httpx.Client, bob: httpx.Client, attempt: int
) -> None:
    conversation = new_conversation(alice)
    share(alice, conversation["id"], bob)

    def post_answers() -> None:
        for number in range(3):
            post_message(alice, conversation, f"Answer {number}", role="assistant")

    post_answers()
    acts: list[Callable[[], object]] = [partial(mark, bob, conversation, position=2)]
    at_once([*acts, *[post_answers] * 3])

    seen = bob.get(f"/conversations/{conversation['id']}").json()
    assert (seen["message_count"], seen["unread_count"]) == (12, 10)
