"""update_message: what it changes, and what stays."""

import httpx
import pytest

from tests.calls import (
    NOBODYS_ID,
    Json,
    get_conversation,
    new_attachment,
    new_conversation,
    new_run,
    post_message,
    read,
    short,
)
from tests.contract import assert_problem
from tests.editing import TEXT, edit, path_of, version_of, versions_of
from tests.posting import assert_same_response, new_key
from tests.test_message_values import CONTENTS, assert_reads_everywhere

FULL: Json = {
    "role": "assistant",
    "content": "Mill Lane costs less.",
    "parts": [TEXT],
    "metadata": {"model": "llama"},
    "attachments": [{"name": "a.pdf", "type": "", "url": "s3://a", "size": 1}],
    "routing_decision": {"selected_tools": ["calculator"]},
    "tool_calls": [{"tool_name": "calculator", "output": 11400}],
}


@pytest.fixture
def message(alice: httpx.Client, conversation: Json) -> Json:
    """A message of Alice with all properties, the only one of its conversation."""
    return post_message(
        alice,
        conversation,
        **FULL,
        run_id=new_run(alice)["id"],
        attachment_ids=[new_attachment(alice)["id"]],
    )


def test_update_message_changes_the_content_and_keeps_the_rest(
    alice: httpx.Client, message: Json
) -> None:
    edited = edit(alice, message, content="Harbour Street costs less.")

    assert edited["edited_at"] > message["created_at"]
    changed = {"content": "Harbour Street costs less.", "version": 2}
    assert edited == message | changed | {"edited_at": edited["edited_at"]}
    assert_reads_everywhere(alice, edited)
    assert versions_of(alice, message) == [version_of(message), version_of(edited)]


def test_update_message_numbers_each_edit(alice: httpx.Client, message: Json) -> None:
    states = [message]
    for changes in (
        {"content": "Second"},
        {"metadata": {"third": True}},
        {"parts": None},
        {"content": "", "parts": [TEXT, TEXT], "metadata": None},
    ):
        states.append(edit(alice, message, **changes))
        assert states[-1] == states[-1] | changes

    assert [each["version"] for each in states] == [1, 2, 3, 4, 5]
    times = [states[0]["created_at"], *(each["edited_at"] for each in states[1:])]
    assert times == sorted(set(times))
    assert versions_of(alice, message) == [version_of(each) for each in states]


@pytest.mark.parametrize("name", CONTENTS)
def test_update_message_stores_every_content(alice: httpx.Client, message: Json, name: str) -> None:
    edited = edit(alice, message, content=CONTENTS[name])

    assert edited["content"] == CONTENTS[name]
    assert versions_of(alice, message)[1:] == [version_of(edited)]
    assert_reads_everywhere(alice, edited)


def test_update_message_merges_what_is_sent(alice: httpx.Client, message: Json) -> None:
    edited = edit(alice, message, content=None, metadata={"a": None}, role="user", version=7)

    assert (edited["content"], edited["role"]) == (message["content"], "assistant")
    assert (edited["metadata"], edited["parts"], edited["version"]) == ({"a": None}, [TEXT], 2)
    cleared = edit(alice, message, parts=None, metadata=None)
    assert (cleared["parts"], cleared["metadata"]) == (None, None)
    assert cleared["content"] == message["content"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": None},
        {"unknown": 1},
        {"content": FULL["content"]},
        {name: FULL[name] for name in ("content", "parts", "metadata")},
    ],
    ids=short,
)
def test_update_message_without_a_change_makes_no_version(
    alice: httpx.Client, message: Json, body: Json
) -> None:
    tag = alice.get(path_of(message)).headers["etag"]

    response = alice.patch(path_of(message), json=body)

    assert (response.status_code, response.json()) == (200, message)
    assert response.headers["etag"] == tag
    assert versions_of(alice, message) == [version_of(message)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({"a": "e\u0301"}, {"a": "\u00e9"}),
        ({}, None),
        (None, {}),
    ],
    ids=short,
)
def test_update_message_notices_each_change_of_json(
    alice: httpx.Client, conversation: Json, first: Json | None, second: Json | None
) -> None:
    message = post_message(alice, conversation, "Hello", metadata=first)

    edited = edit(alice, message, metadata=second)

    assert edited["version"] == 2
    assert repr(edited["metadata"]) == repr(second)
    found = versions_of(alice, message)
    assert [repr(each["metadata"]) for each in found] == [repr(first), repr(second)]


def test_update_message_repeated_after_a_lost_response_makes_one_version(
    alice: httpx.Client, message: Json
) -> None:
    body = {"content": "Second", "parts": [TEXT | {"n": 1.5}], "metadata": {"b": 1, "a": [True]}}

    first, again = (alice.patch(path_of(message), json=body) for _ in range(2))

    assert first.content == again.content
    assert len(versions_of(alice, message)) == 2


def test_update_message_changes_the_preview_of_the_last_message_only(
    alice: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "The first message")
    last = post_message(alice, conversation, "The last message", role="assistant")
    before = get_conversation(alice, conversation)

    edit(alice, first, content="Edited first")
    assert get_conversation(alice, conversation) == before

    edit(alice, last, content="🎭" + "x" * 200)
    after = get_conversation(alice, conversation)
    preview = before["last_message"] | {"content": "🎭" + "x" * 99}
    assert after == before | {"last_message": preview}
    assert read(alice, "/conversations")["conversations"] == [after]
    post_message(alice, conversation, "Later")
    edit(alice, last, content="Not the last any more")
    assert get_conversation(alice, conversation)["last_message"]["content"] == "Later"


def test_update_message_leaves_title_and_place_of_the_conversation(alice: httpx.Client) -> None:
    older, newer = new_conversation(alice), new_conversation(alice)
    message = post_message(alice, older, "A title")
    post_message(alice, newer, "Newer")

    edit(alice, message, content="Another text")

    found = read(alice, "/conversations")["conversations"]
    assert [each["id"] for each in found] == [newer["id"], older["id"]]
    assert found[1]["title"] == "A title"
    assert found[1]["updated_at"] == message["created_at"]
    post_message(alice, older, "No title")
    assert get_conversation(alice, older)["title"] == "A title"


def test_update_message_with_an_old_tag_changes_nothing(alice: httpx.Client, message: Json) -> None:
    old = {"If-Match": alice.get(path_of(message)).headers["etag"]}
    new = alice.patch(path_of(message), json={"content": "Second"}, headers=old)

    late = alice.patch(path_of(message), json={"content": "Late"}, headers=old)
    unchanged = alice.patch(path_of(message), json={"content": "Second"}, headers=old)

    assert_problem(late, 412)
    assert_problem(unchanged, 412)
    assert read(alice, path_of(message)) == new.json()
    current = {"If-Match": new.headers["etag"]}
    third = alice.patch(path_of(message), json={"content": "Third"}, headers=current)
    assert (third.status_code, third.json()["version"]) == (200, 3)


def test_create_message_repeated_with_its_key_returns_the_first_version(
    alice: httpx.Client, conversation: Json
) -> None:
    path, key = f"/conversations/{conversation['id']}/messages", new_key()
    body = {"role": "user", "content": "First", "parts": [TEXT]}
    first = alice.post(path, json=body, headers=key)
    edited = edit(alice, first.json(), content="Second")

    again = alice.post(path, json=body, headers=key)

    assert_same_response(first, again)
    assert read(alice, path)["messages"] == [edited]


def test_edited_messages_disappear_with_their_conversation(
    alice: httpx.Client, message: Json
) -> None:
    edit(alice, message, content="Second")

    assert alice.delete(f"/conversations/{message['conversation_id']}").status_code == 204

    assert_problem(alice.patch(path_of(message), json={"content": "Third"}), 404)
    assert_problem(alice.get(f"{path_of(message)}/versions"), 404)
    assert_problem(alice.patch(f"/messages/{NOBODYS_ID}", json={}), 404)
