"""Chat attachments: records of files."""

import json
from typing import Any

import httpx
import pytest

from tests.attaching import (
    FILE,
    FILES,
    NOT_YOURS,
    UNSET,
    attach,
    details,
    path_of,
    send,
    shown,
)
from tests.calls import (
    NOBODYS_ID,
    TIME,
    Json,
    create,
    get_conversation,
    ids,
    new_attachment,
    post_message,
    read,
    refusals,
    rows,
    short,
)
from tests.contract import assert_problem


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
