"""Messages that show attachments: who can add which to what."""

import uuid
from typing import Any

import httpx
import pytest

from tests.attaching import (
    FILE,
    FILES,
    IN_A_MESSAGE,
    NOT_YOURS,
    REPEATED,
    attach,
    details,
    path_of,
    send,
    shown,
)
from tests.calls import (
    NOBODYS_ID,
    Json,
    change,
    get_conversation,
    ids,
    messages_of,
    new_attachment,
    new_conversation,
    new_run,
    post_message,
    read,
    refusals,
    rows,
    short,
)
from tests.contract import assert_problem
from tests.workers import Worker, claimed_run


def test_create_message_shows_its_attachments_in_the_order_of_the_request(
    alice: httpx.Client, conversation: Json
) -> None:
    first, second, third = (new_attachment(alice, **FILE | {"filename": n}) for n in "abc")

    message = attach(alice, conversation, third, first, second)

    assert message["chat_attachments"] == [shown(third), shown(first), shown(second)]
    assert message["attachments"] is None
    path = f"/conversations/{conversation['id']}"
    assert read(alice, f"/messages/{message['id']}") == message
    assert read(alice, messages_of(conversation))["messages"] == [message]
    assert read(alice, path)["messages"] == [message]
    assert get_conversation(alice, conversation)["message_count"] == 1


def test_create_message_changes_its_attachments_and_their_tag(
    alice: httpx.Client, conversation: Json
) -> None:
    made = new_attachment(alice, **FILE)
    tag = alice.get(path_of(made)).headers["etag"]

    message = attach(alice, conversation, made)

    after = alice.get(path_of(made), headers={"If-None-Match": tag})
    place = {"conversation_id": conversation["id"], "message_id": message["id"]}
    assert after.status_code == 200
    assert after.json() == made | place
    assert after.headers["etag"] != tag
    assert ids(rows(read(alice, FILES, conversation_id=conversation["id"]))) == [made["id"]]


@pytest.mark.parametrize(
    "absent", [{}, {"attachment_ids": None}, {"attachment_ids": []}], ids=short
)
def test_create_message_without_attachments_shows_none(
    alice: httpx.Client, conversation: Json, absent: Json
) -> None:
    message = post_message(alice, conversation, "Hello", **absent)

    assert message["chat_attachments"] == []
    assert read(alice, f"/messages/{message['id']}") == message


def test_create_message_refuses_attachments_that_are_not_the_users(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    mine, bobs = new_attachment(alice), new_attachment(bob, **FILE)

    foreign = send(alice, conversation, mine["id"], bobs["id"])
    missing = send(alice, conversation, mine["id"], NOBODYS_ID)

    assert foreign.json() == missing.json()
    assert details(foreign) == {"/attachment_ids/1": NOT_YOURS}
    assert read(alice, messages_of(conversation))["total"] == 0
    assert read(alice, path_of(mine)) == mine
    assert read(bob, path_of(bobs)) == bobs


def test_create_message_does_not_tell_whether_a_foreign_attachment_is_in_a_message(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    bobs = new_attachment(bob)
    attach(bob, new_conversation(bob), bobs)

    assert details(send(alice, conversation, bobs["id"])) == {"/attachment_ids/0": NOT_YOURS}


def test_create_message_refuses_attachments_of_other_messages(
    alice: httpx.Client, conversation: Json
) -> None:
    used, free = new_attachment(alice), new_attachment(alice)
    message = attach(alice, conversation, used)

    for other in (conversation, new_conversation(alice)):
        refused = send(alice, other, free["id"], used["id"], NOBODYS_ID)
        assert details(refused) == {
            "/attachment_ids/1": IN_A_MESSAGE,
            "/attachment_ids/2": NOT_YOURS,
        }

    assert read(alice, path_of(free)) == free
    assert read(alice, path_of(used))["message_id"] == message["id"]
    assert read(alice, messages_of(conversation))["messages"] == [message]


def test_create_message_refuses_an_attachment_twice(
    alice: httpx.Client, conversation: Json
) -> None:
    made = new_attachment(alice)

    for again in (made["id"], made["id"].upper()):
        refused = send(alice, conversation, made["id"], again)
        assert details(refused) == {"/attachment_ids/1": REPEATED}

    assert read(alice, path_of(made)) == made
    assert len(attach(alice, conversation, made)["chat_attachments"]) == 1


def test_create_message_accepts_ids_in_upper_case(alice: httpx.Client, conversation: Json) -> None:
    made = new_attachment(alice)

    response = send(alice, conversation, made["id"].upper())

    assert response.json()["chat_attachments"] == [shown(made)]


@pytest.mark.parametrize("wrong", ["x", 1, None, {}, [], "' OR true --"], ids=short)
def test_create_message_refuses_what_is_no_id(
    alice: httpx.Client, conversation: Json, wrong: Any
) -> None:
    assert refusals(send(alice, conversation, wrong)) == {("body", "/attachment_ids/0")}


def test_create_message_takes_50_attachments(alice: httpx.Client, conversation: Json) -> None:
    made = [new_attachment(alice, filename=f"{number}.pdf") for number in range(51)]

    refused = send(alice, conversation, *ids(made))
    message = attach(alice, conversation, *made[:50])

    assert refusals(refused) == {("body", "/attachment_ids")}
    assert message["chat_attachments"] == [shown(each) for each in made[:50]]


def test_create_message_in_a_conversation_of_others_leaves_the_attachment(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    bobs = new_attachment(bob)

    assert_problem(send(bob, conversation, bobs["id"]), 403)
    assert_problem(send(bob, {"id": NOBODYS_ID}, bobs["id"]), 404)
    assert_problem(send(bob, conversation, NOBODYS_ID), 403)

    assert read(bob, path_of(bobs)) == bobs


def test_create_message_with_a_wrong_run_leaves_the_attachment(
    alice: httpx.Client, conversation: Json
) -> None:
    made = new_attachment(alice)
    body = {"role": "user", "content": "x", "attachment_ids": [made["id"]], "run_id": NOBODYS_ID}

    response = alice.post(messages_of(conversation), json=body)

    assert refusals(response) == {("body", "/run_id")}
    assert read(alice, path_of(made)) == made
    assert get_conversation(alice, conversation) == conversation


def test_create_message_with_a_key_attaches_once(alice: httpx.Client, conversation: Json) -> None:
    made, key = new_attachment(alice), {"Idempotency-Key": str(uuid.uuid4())}
    body = {"role": "user", "content": "See the files."}

    first, again, upper = (
        alice.post(messages_of(conversation), json=body | {"attachment_ids": [each]}, headers=key)
        for each in (made["id"], made["id"], made["id"].upper())
    )

    assert first.status_code == 201
    assert first.content == again.content == upper.content
    assert read(alice, messages_of(conversation))["total"] == 1
    assert details(send(alice, conversation, made["id"])) == {"/attachment_ids/0": IN_A_MESSAGE}


def test_create_message_refused_with_a_key_can_be_repeated(
    alice: httpx.Client, conversation: Json
) -> None:
    made, key = new_attachment(alice), {"Idempotency-Key": str(uuid.uuid4())}
    body = {"role": "user", "content": "See the files."}

    refused, accepted = (
        alice.post(messages_of(conversation), json=body | {"attachment_ids": each}, headers=key)
        for each in ([made["id"], NOBODYS_ID], [made["id"]])
    )

    assert details(refused) == {"/attachment_ids/1": NOT_YOURS}
    assert accepted.json()["chat_attachments"] == [shown(made)]


def test_update_run_attaches_files_to_its_message(alice: httpx.Client, conversation: Json) -> None:
    run = new_run(alice, conversation_id=conversation["id"], status="running")
    made = new_attachment(alice, **FILE)
    message = {"role": "assistant", "content": "Done", "attachment_ids": [made["id"]]}

    change(alice, f"/runs/{run['id']}", status="succeeded", message=message)

    (stored,) = read(alice, messages_of(conversation))["messages"]
    assert stored["chat_attachments"] == [shown(made)]
    assert read(alice, path_of(made))["message_id"] == stored["id"]


def test_update_run_with_a_wrong_attachment_changes_nothing(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    run = new_run(alice, conversation_id=conversation["id"], status="running")
    mine, bobs = new_attachment(alice), new_attachment(bob)
    message = {"role": "assistant", "content": "Done", "attachment_ids": [mine["id"], bobs["id"]]}

    response = alice.patch(f"/runs/{run['id']}", json={"status": "succeeded", "message": message})

    assert details(response) == {"/message/attachment_ids/1": NOT_YOURS}
    assert read(alice, f"/runs/{run['id']}") == run
    assert read(alice, path_of(mine)) == mine
    assert read(alice, messages_of(conversation))["total"] == 0


def test_worker_cannot_attach_files(
    alice: httpx.Client, worker: Worker, conversation: Json
) -> None:
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    alices = new_attachment(alice)
    workers = new_attachment(worker.client)

    for made in (alices, workers):
        message = {"role": "assistant", "content": "x", "attachment_ids": [made["id"]]}
        path = messages_of(conversation)
        posted = worker.client.post(path, json=message, headers=claim.headers)
        ended = worker.update(claim, status="succeeded", message=message)
        assert refusals(posted) == {("body", "/attachment_ids")}
        assert refusals(ended) == {("body", "/message/attachment_ids")}

    assert read(alice, path_of(alices)) == alices
    assert read(alice, claim.path)["status"] == "running"
    assert read(alice, messages_of(conversation))["total"] == 0


def test_worker_sees_the_attachments_of_messages_only(
    alice: httpx.Client, worker: Worker, conversation: Json
) -> None:
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    made = new_attachment(alice, **FILE)
    message = attach(alice, conversation, made)

    listed = worker.client.get(messages_of(conversation), headers=claim.headers)
    hidden = worker.client.get(path_of(made), headers=claim.headers)

    assert listed.json()["messages"] == [message]
    assert_problem(hidden, 403)
