"""What a user has read, and the number of unread messages."""

import uuid
from typing import Any

import httpx
import pytest

from tests.calls import Json, at_once, get_conversation, messages_of, post_message, read, refusals
from tests.contract import assert_problem
from tests.workers import Worker, claimed_run


def mark(client: httpx.Client, conversation: Json, **body: Any) -> Json:
    response = client.put(f"/conversations/{conversation['id']}/read", json=body)
    assert response.status_code == 200, response.text
    result: Json = response.json()
    return result


def answers(client: httpx.Client, conversation: Json, count: int) -> list[Json]:
    return [
        post_message(client, conversation, f"Answer {number}", role="assistant")
        for number in range(count)
    ]


def test_create_message_counts_answers_as_unread(alice: httpx.Client, conversation: Json) -> None:
    counts = []
    for role in ("user", "assistant", "system", "assistant", "user", "assistant"):
        post_message(alice, conversation, "Hello", role=role)
        counts.append(get_conversation(alice, conversation)["unread_count"])

    assert counts == [0, 1, 2, 3, 0, 1]
    assert read(alice, "/conversations")["conversations"][0]["unread_count"] == 1


def test_create_message_counts_the_messages_of_workers(
    alice: httpx.Client, conversation: Json, worker: Worker
) -> None:
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    for role in ("assistant", "user"):
        message = {"role": role, "content": "Hello"}
        response = worker.client.post(
            messages_of(conversation), json=message, headers=claim.headers
        )
        assert response.status_code == 201
    message = {"role": "assistant", "content": "Harbour Street."}
    assert worker.update(claim, status="succeeded", message=message).status_code == 200

    assert get_conversation(alice, conversation)["unread_count"] == 3


def test_mark_conversation_read_marks_everything(alice: httpx.Client, conversation: Json) -> None:
    answers(alice, conversation, 3)
    before = get_conversation(alice, conversation)

    assert mark(alice, conversation) == before | {"unread_count": 0}
    assert get_conversation(alice, conversation) == before | {"unread_count": 0}
    without_body = alice.put(f"/conversations/{conversation['id']}/read")
    assert without_body.json() == before | {"unread_count": 0}
    assert (
        without_body.headers["etag"]
        == alice.get(f"/conversations/{conversation['id']}").headers["etag"]
    )


@pytest.mark.parametrize("by", ["position", "message_id"])
def test_mark_conversation_read_only_moves_forward(
    alice: httpx.Client, conversation: Json, by: str
) -> None:
    posted = answers(alice, conversation, 5)

    counts = []
    for number in (2, 1, 3, 2, 5, 1):
        reached = number if by == "position" else posted[number - 1]["id"]
        counts.append(mark(alice, conversation, **{by: reached})["unread_count"])

    assert counts == [3, 3, 2, 2, 0, 0]
    answers(alice, conversation, 1)
    assert get_conversation(alice, conversation)["unread_count"] == 1


def test_mark_conversation_read_accepts_positions_after_the_end(
    alice: httpx.Client, conversation: Json
) -> None:
    answers(alice, conversation, 2)

    assert mark(alice, conversation, position=2**53 - 1)["unread_count"] == 0
    answers(alice, conversation, 2)
    assert mark(alice, conversation, position=3)["unread_count"] == 1


def test_mark_conversation_read_refuses_invalid_bodies(
    alice: httpx.Client, conversation: Json
) -> None:
    path = f"/conversations/{conversation['id']}/read"
    for name, value in (("position", 0), ("position", 2**53), ("message_id", "x")):
        assert refusals(alice.put(path, json={name: value})) == {("body", f"/{name}")}


def test_mark_conversation_read_refuses_messages_of_other_conversations(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    (hers,) = answers(alice, conversation, 1)
    other = bob.post("/conversations").json()
    (his,) = answers(bob, other, 1)

    for message_id in (his["id"], str(uuid.uuid4())):
        response = alice.put(
            f"/conversations/{conversation['id']}/read", json={"message_id": message_id}
        )
        assert refusals(response) == {("body", "/message_id")}
    for body in ({}, {"message_id": hers["id"]}):
        assert_problem(bob.put(f"/conversations/{conversation['id']}/read", json=body), 403)
        assert_problem(bob.put(f"/conversations/{uuid.uuid4()}/read", json=body), 404)
    assert get_conversation(alice, conversation)["unread_count"] == 1


def test_mark_conversation_read_misses_no_message_that_arrives_meanwhile(
    alice: httpx.Client, conversation: Json
) -> None:
    answers(alice, conversation, 3)

    for _ in range(10):
        at_once(
            [
                lambda: mark(alice, conversation, position=2),
                lambda: answers(alice, conversation, 2),
                lambda: mark(alice, conversation, position=3),
            ]
        )
    total = get_conversation(alice, conversation)

    assert total["message_count"] == 23
    assert total["unread_count"] == 20


def test_messages_of_earlier_versions_stay_read(
    alice: httpx.Client, conversation: Json, database: Any
) -> None:
    answers(alice, conversation, 4)
    with database.cursor() as cursor:  # like the migration
        cursor.execute(
            "UPDATE conversations SET unread_count = 0, read_position = 0 WHERE id = %s",
            [conversation["id"]],
        )

    assert mark(alice, conversation, position=1)["unread_count"] == 0
    answers(alice, conversation, 2)
    assert mark(alice, conversation, position=3)["unread_count"] == 2
    assert mark(alice, conversation, position=5)["unread_count"] == 1
