"""Attachments that several requests add to messages, or delete, at the same time."""

from functools import partial
from typing import Any

import httpx

from tests.calls import (
    Json,
    at_once,
    ids,
    messages_of,
    new_attachment,
    new_conversation,
    post_message,
    read,
    rows,
)
from tests.concurrency.races import race

FILES = "/chat-attachments"


def attach(client: httpx.Client, conversation: Json, attachment_ids: list[str]) -> httpx.Response:
    body = {"role": "user", "content": "See the files.", "attachment_ids": attachment_ids}
    return client.post(messages_of(conversation), json=body)


def delete(client: httpx.Client, attachment_id: str) -> httpx.Response:
    return client.delete(f"{FILES}/{attachment_id}")


def statuses(answers: list[httpx.Response]) -> list[int]:
    return sorted(answer.status_code for answer in answers)


@race(usual=3, thorough=20)
def test_an_attachment_goes_to_one_of_several_messages(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    """In the same conversation and in others."""
    conversations = [shared, *(new_conversation(crowd[0]) for _ in range(3))] * 2
    wanted = [new_attachment(crowd[0])["id"]]

    answers = at_once(
        [
            partial(attach, client, conversation, wanted)
            for client, conversation in zip(crowd[:8], conversations, strict=True)
        ]
    )

    assert statuses(answers) == [201, *[422] * 7]
    (winner,) = [answer.json() for answer in answers if answer.status_code == 201]
    assert read(crowd[0], f"{FILES}/{wanted[0]}")["message_id"] == winner["id"]
    stored = [
        message
        for conversation in conversations[:4]
        for message in rows(read(crowd[0], messages_of(conversation)))
    ]
    assert stored == [winner]


@race(usual=5, thorough=50)
def test_messages_that_want_the_same_attachments_in_other_orders_do_not_deadlock(
    crowd: list[httpx.Client], attempt: int
) -> None:
    conversations = [new_conversation(crowd[0]) for _ in range(4)]
    wanted = ids([new_attachment(crowd[0]) for _ in range(10)])

    answers = at_once(
        [
            partial(attach, client, conversation, wanted[:: 1 if number % 2 else -1])
            for number, (client, conversation) in enumerate(zip(crowd, conversations, strict=False))
        ]
    )

    assert statuses(answers) == [201, 422, 422, 422]
    linked = {row["message_id"] for row in rows(read(crowd[0], FILES, limit=10))}
    assert len(linked) == 1


@race(usual=5, thorough=50)
def test_an_attachment_is_deleted_while_a_message_gets_it(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    kept, gone = ids([new_attachment(crowd[0]) for _ in range(2)])

    attached, deleted = at_once(
        [partial(attach, crowd[0], shared, [kept, gone]), partial(delete, crowd[1], gone)]
    )

    assert deleted.status_code == 204
    assert crowd[0].get(f"{FILES}/{gone}").status_code == 404
    if attached.status_code == 422:
        assert rows(read(crowd[0], messages_of(shared))) == []
        assert read(crowd[0], f"{FILES}/{kept}")["message_id"] is None
    else:
        (message,) = rows(read(crowd[0], messages_of(shared)))
        assert ids(message["chat_attachments"]) == [kept]


@race(usual=2, thorough=10)
def test_attachments_of_a_message_are_deleted_at_once(
    crowd: list[httpx.Client], shared: Json, attempt: int
) -> None:
    made = ids([new_attachment(crowd[0]) for _ in range(9)])
    post_message(crowd[0], shared, "See the files.", attachment_ids=made)
    twice = [*made[:8], *made[:8]]

    answers = at_once([partial(delete, *each) for each in zip(crowd, twice, strict=False)])

    assert statuses(answers) == [*[204] * 8, *[404] * 8]
    (message,) = rows(read(crowd[0], messages_of(shared)))
    assert ids(message["chat_attachments"]) == made[8:]


@race(usual=3, thorough=20)
def test_conversation_is_deleted_while_its_attachments_change(
    crowd: list[httpx.Client], attempt: int
) -> None:
    conversation = new_conversation(crowd[0])
    there, new = (ids([new_attachment(crowd[0]) for _ in range(6)]) for _ in range(2))
    post_message(crowd[0], conversation, "See the files.", attachment_ids=there)
    acts: list[Any] = [
        *(partial(delete, *each) for each in zip(crowd, there[:3], strict=False)),
        *(
            partial(attach, client, conversation, [each])
            for client, each in zip(crowd[3:], new, strict=False)
        ),
        partial(crowd[9].delete, f"/conversations/{conversation['id']}"),
    ]

    answers = at_once(acts)

    assert answers[-1].status_code == 204
    assert {answer.status_code for answer in answers[:3]} <= {204, 404}
    assert {answer.status_code for answer in answers[3:-1]} <= {201, 404}
    attached = {
        each for each, answer in zip(new, answers[3:-1], strict=True) if answer.status_code == 201
    }
    assert {crowd[0].get(f"{FILES}/{each}").status_code for each in [*there, *attached]} == {404}
    for each in set(new) - attached:
        assert read(crowd[0], f"{FILES}/{each}")["message_id"] is None
        delete(crowd[0], each)
