"""Searches while others write, delete and stop sharing."""

from collections.abc import Callable
from functools import partial

import httpx

from tests.calls import (
    Json,
    at_once,
    messages_of,
    new_conversation,
    post_message,
    read_all,
)
from tests.concurrency.races import race
from tests.searching.calls import SEARCH, found
from tests.sharing.members import share, unshare

POSTS = 5


@race(usual=3, thorough=20)
def test_each_message_is_found_as_soon_as_it_is_stored(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    def post(client: httpx.Client, number: int) -> None:
        for again in range(POSTS):
            word = f"w{number}x{again}"
            message = post_message(client, shared, f"the {word}")
            assert found(client, word, conversation_id=shared["id"]) == [message["id"]]

    at_once([partial(post, client, number) for number, client in enumerate(crowd[:8])])

    stored = [row["id"] for row in read_all(crowd[0], messages_of(shared), limit=500)]
    results = read_all(crowd[0], SEARCH, q="the", conversation_id=shared["id"], limit=7)
    assert sorted(result["message_id"] for result in results) == sorted(stored)
    assert len(stored) == 8 * POSTS


@race(usual=3, thorough=20)
def test_no_search_that_starts_after_a_deletion_finds_the_messages(
    crowd: list[httpx.Client], attempt: int
) -> None:
    conversations = [new_conversation(crowd[0]) for _ in range(8)]
    for conversation in conversations:
        post_message(crowd[0], conversation, "doomed")

    def delete(client: httpx.Client, conversation: Json) -> None:
        assert client.delete(f"/conversations/{conversation['id']}").status_code == 204
        assert found(client, "doomed", conversation_id=conversation["id"]) == []

    acts: list[Callable[[], object]] = [
        partial(delete, *each) for each in zip(crowd, conversations, strict=False)
    ]
    acts += [partial(found, client, "doomed") for client in crowd[8:16]]
    at_once(acts)

    assert found(crowd[0], "doomed") == []


@race(usual=3, thorough=20)
def test_no_search_that_starts_after_the_end_of_a_share_finds_the_messages(
    crowd: list[httpx.Client], bob: httpx.Client, attempt: int
) -> None:
    conversations = [new_conversation(crowd[0]) for _ in range(4)]
    for conversation in conversations:
        share(crowd[0], conversation["id"], bob)
        post_message(crowd[0], conversation, "secret")
    assert len(found(bob, "secret")) == 4

    def stop(client: httpx.Client, conversation: Json) -> None:
        assert unshare(client, conversation["id"], bob).status_code == 204
        assert found(bob, "secret", conversation_id=conversation["id"]) == []

    acts: list[Callable[[], object]] = [
        partial(stop, *each) for each in zip(crowd, conversations, strict=False)
    ]
    acts += [
        partial(post_message, client, conversation, "another secret")
        for client, conversation in zip(crowd[4:8], conversations, strict=True)
    ]
    at_once(acts)

    assert found(bob, "secret", archived="all") == []
