"""Chat attachments: records of files, and the messages that show them."""

import json
import uuid
from typing import Any

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    TIME,
    Json,
    change,
    create,
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

FILES = "/chat-attachments"
FILE: Json = {
    "filename": "lease-harbour-street.pdf",
    "file_url": "s3://lease-documents/2026/lease-harbour-street.pdf",
    "mime_type": "application/pdf",
    "size_bytes": 482133,
    "added_to_library": True,
    "library_document_id": "doc-7714",
    "parsed_content": "The monthly rent is 3,150 euros.",
}
UNSET: Json = {
    "mime_type": None,
    "size_bytes": None,
    "added_to_library": False,
    "library_document_id": None,
    "parsed_content": None,
}
HIDDEN = {"parsed_content", "conversation_id", "message_id"}
"""What a message does not show of its attachments."""
NOT_YOURS = "does not refer to an attachment of yours"
IN_A_MESSAGE = "belongs to a message already"
REPEATED = "is in the list twice"


def path_of(attachment: Json) -> str:
    return f"{FILES}/{attachment['id']}"


def shown(attachment: Json) -> Json:
    """Return what a message shows of an attachment."""
    return {name: value for name, value in attachment.items() if name not in HIDDEN}


def attach(client: httpx.Client, conversation: Json, *attachments: Json, **body: Any) -> Json:
    """Post a message with attachments."""
    return post_message(
        client, conversation, "See the files.", attachment_ids=ids(attachments), **body
    )


def send(client: httpx.Client, conversation: Json, *attachment_ids: Any) -> httpx.Response:
    body = {"role": "user", "content": "See the files.", "attachment_ids": attachment_ids}
    return client.post(messages_of(conversation), json=body)


def details(response: httpx.Response) -> dict[str, str]:
    """Return the errors of a 422 by their pointers."""
    return {each["pointer"]: each["detail"] for each in assert_problem(response, 422)["errors"]}


def test_create_chat_attachment_returns_the_record(alice: httpx.Client) -> None:
    response = alice.post(FILES, json=FILE)

    made = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == path_of(made)
    assert made == FILE | {
        "id": made["id"],
        "created_at": made["created_at"],
        "conversation_id": None,
        "message_id": None,
    }
    assert TIME.fullmatch(made["created_at"])
    again = alice.get(path_of(made))
    assert again.json() == made
    assert again.headers["etag"] == response.headers["etag"]


@pytest.mark.parametrize("absent", [{}, dict.fromkeys(UNSET)], ids=["absent", "null"])
def test_create_chat_attachment_needs_only_a_name_and_an_address(
    alice: httpx.Client, absent: Json
) -> None:
    made = create(alice, FILES, filename="a", file_url="b", **absent)

    assert made == made | UNSET


VALUES: dict[str, list[Any]] = {
    "filename": ["n", "🚀" * 255, "../../etc/passwd", "'; DROP TABLE runs; --", "a\nb\u202e.exe"],
    "file_url": ["u", "s3://" + "ü" * 8187, "javascript:alert(1)", "data:,{{7*7}}%s${x}"],
    "mime_type": ["", "x" * 255, "text/plain; charset=utf-8"],
    "size_bytes": [0, 2**53 - 1],
    "added_to_library": [False],
    "library_document_id": ["d", "d" * 255],
    "parsed_content": ["", " \n", "\\u0000 \\N %s", "Größe 租约 👩🏽‍🚀 e\u0301", "x" * 900_000],
}


def test_create_chat_attachment_stores_any_value(
    alice: httpx.Client, conversation: Json, subtests: pytest.Subtests
) -> None:
    for name, value in [(name, value) for name, values in VALUES.items() for value in values]:
        with subtests.test(name, value=short(value)):
            made = new_attachment(alice, **FILE | {name: value})
            message = attach(alice, conversation, made)

            assert made[name] == value
            assert read(alice, path_of(made))[name] == value
            assert message["chat_attachments"] == [shown(made)]


WRONG: dict[str, list[Any]] = {
    "filename": [None, "", "n" * 256, 1, "a\0b", "\ud800"],
    "file_url": [None, "", "u" * 8193, ["u"]],
    "mime_type": ["x" * 256, 1],
    "size_bytes": [-1, 2**53, 1.5, "1", True],
    "added_to_library": ["true", 1],
    "library_document_id": ["", "d" * 256, 1],
    "parsed_content": [1, {}, "a\0"],
}


def test_create_chat_attachment_rejects_wrong_values(
    alice: httpx.Client, subtests: pytest.Subtests
) -> None:
    for name, value in [(name, value) for name, values in WRONG.items() for value in values]:
        with subtests.test(name, value=short(value)):
            text = json.dumps(FILE | {name: value})  # httpx refuses surrogates
            headers = {"Content-Type": "application/json"}
            response = alice.post(FILES, content=text, headers=headers)
            assert refusals(response) == {("body", f"/{name}")}
    for name in ("filename", "file_url"):
        body = {key: value for key, value in FILE.items() if key != name}
        assert refusals(alice.post(FILES, json=body)) == {("body", f"/{name}")}
    assert read(alice, FILES)["total"] == 0


def test_create_chat_attachment_ignores_what_the_server_sets(
    alice: httpx.Client, conversation: Json
) -> None:
    message = post_message(alice, conversation, "Hello")
    forged = {
        "id": NOBODYS_ID,
        "user_id": "bob",
        "conversation_id": conversation["id"],
        "message_id": message["id"],
        "created_at": "1999-12-31T23:59:59.000000Z",
        "size": -1,
    }

    made = new_attachment(alice, **forged)

    assert made["id"] != NOBODYS_ID
    assert (made["conversation_id"], made["message_id"]) == (None, None)
    assert made["created_at"] > conversation["created_at"]
    assert read(alice, f"/messages/{message['id']}") == message


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


def test_delete_chat_attachment_removes_it_from_its_message(
    alice: httpx.Client, conversation: Json
) -> None:
    first, second, third = (new_attachment(alice, **FILE | {"filename": n}) for n in "abc")
    message = attach(alice, conversation, first, second, third)
    before = get_conversation(alice, conversation)
    path = f"/messages/{message['id']}"
    tag = alice.get(path).headers["etag"]

    assert alice.delete(path_of(second)).status_code == 204

    after = alice.get(path, headers={"If-None-Match": tag})
    assert after.json() == message | {"chat_attachments": [shown(first), shown(third)]}
    assert after.headers["etag"] != tag
    assert get_conversation(alice, conversation) == before
    assert_problem(alice.get(path_of(second)), 404)
    assert_problem(alice.delete(path_of(second)), 404)
    assert details(send(alice, conversation, second["id"])) == {"/attachment_ids/0": NOT_YOURS}
    for each in (first, third):
        assert alice.delete(path_of(each)).status_code == 204
    assert read(alice, path) == message | {"chat_attachments": []}


def test_delete_chat_attachment_of_no_message(alice: httpx.Client) -> None:
    made, other = new_attachment(alice), new_attachment(alice)

    assert alice.delete(path_of(made)).status_code == 204

    assert ids(rows(read(alice, FILES))) == [other["id"]]


def test_delete_chat_attachment_with_an_old_tag_changes_nothing(
    alice: httpx.Client, conversation: Json
) -> None:
    made = new_attachment(alice)
    old = alice.get(path_of(made)).headers["etag"]
    message = attach(alice, conversation, made)
    current = alice.get(path_of(made)).headers["etag"]

    assert_problem(alice.delete(path_of(made), headers={"If-Match": old}), 412)
    assert read(alice, f"/messages/{message['id']}") == message
    assert alice.delete(path_of(made), headers={"If-Match": current}).status_code == 204

    assert read(alice, f"/messages/{message['id']}")["chat_attachments"] == []


def test_delete_chat_attachment_of_another_user_is_refused(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    made = new_attachment(alice, **FILE)
    message = attach(alice, conversation, made)

    for headers in ({}, {"If-Match": "*"}, {"If-Match": alice.get(path_of(made)).headers["etag"]}):
        assert_problem(bob.delete(path_of(made), headers=headers), 403)

    assert read(alice, f"/messages/{message['id']}") == message


def test_delete_conversation_deletes_the_attachments_of_its_messages(
    alice: httpx.Client, conversation: Json
) -> None:
    used, free = new_attachment(alice), new_attachment(alice)
    attach(alice, conversation, used)

    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 204

    assert_problem(alice.get(path_of(used)), 404)
    assert rows(read(alice, FILES)) == [free]
    assert rows(read(alice, FILES, conversation_id=conversation["id"])) == []


def test_list_chat_attachments_includes_the_parsed_text(alice: httpx.Client) -> None:
    made = [new_attachment(alice, **FILE), new_attachment(alice)]

    assert rows(read(alice, FILES)) == made[::-1]
    assert rows(read(alice, FILES, added_to_library="true")) == made[:1]
    assert rows(read(alice, FILES, added_to_library="false")) == made[1:]


def test_attachment_is_the_same_in_every_operation(alice: httpx.Client, conversation: Json) -> None:
    made = new_attachment(alice, **FILE)
    attach(alice, conversation, made)

    (listed,) = rows(read(alice, FILES))
    single = alice.get(path_of(made))
    (change_of,) = [
        each
        for each in read(alice, "/changes", after=0)["changes"]
        if each["type"] == "chat_attachment.created"
    ]

    assert listed == single.json()
    assert change_of["etag"] == single.headers["etag"]
