"""Concurrent clients create rows: none is lost, repeated or miscounted."""

from functools import partial

import httpx
import pytest

from tests.calls import (
    Json,
    at_once,
    get_conversation,
    ids,
    messages_of,
    new_conversation,
    new_run,
    post_message,
    read,
    read_all,
)
from tests.concurrency.races import WRITERS


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
