"""Edits of messages in shared conversations."""

import threading
from collections.abc import Iterator

import httpx
import pytest

from tests.calls import (
    Json,
    get_conversation,
    messages_of,
    new_conversation,
    post_message,
    read,
    rows,
)
from tests.contract import assert_problem
from tests.editing import edit, path_of, version_of, versions_of
from tests.mirror import changes_after, position
from tests.sharing.members import NewClient, share, unshare, user_of


@pytest.fixture
def shared(alice: httpx.Client, bob: httpx.Client) -> Json:
    """A conversation of Alice that Bob may edit."""
    conversation = new_conversation(alice)
    share(alice, conversation["id"], bob, "editor")
    return conversation


def test_author_is_the_member_who_posted(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    forged = {"author": user_of(alice), "author_id": user_of(alice)}

    of_alice = post_message(alice, shared, "Hers", author=user_of(bob))
    of_bob = post_message(bob, shared, "His", **forged)

    assert (of_alice["author"], of_bob["author"]) == (None, user_of(bob))
    for client in (alice, bob):
        assert rows(read(client, messages_of(shared))) == [of_alice, of_bob]
        assert read(client, path_of(of_bob)) == of_bob
    unshare(alice, shared["id"], bob)
    assert read(alice, path_of(of_bob)) == of_bob


def test_editor_edits_what_they_have_posted(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    message = post_message(bob, shared, "His")

    edited = edit(bob, message, content="His own", metadata={"a": 1})

    assert edited == message | {
        "content": "His own",
        "metadata": {"a": 1},
        "version": 2,
        "edited_at": edited["edited_at"],
    }
    for client in (alice, bob):
        assert read(client, path_of(message)) == edited
        assert get_conversation(client, shared)["last_message"]["content"] == "His own"
        assert versions_of(client, message) == [
            version_of(each, user_of(bob)) for each in (message, edited)
        ]


def test_owner_edits_every_message_and_versions_tell_who_wrote_them(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    states = [post_message(bob, shared, "His")]
    states.append(edit(alice, states[0], content="Hers"))
    states.append(edit(bob, states[0], content="His again"))

    assert {each["author"] for each in states} == {user_of(bob)}
    authors = [user_of(bob), None, user_of(bob)]
    assert versions_of(bob, states[0]) == list(map(version_of, states, authors))


def test_members_cannot_edit_other_messages(
    alice: httpx.Client, bob: httpx.Client, new_client: NewClient, shared: Json
) -> None:
    carol, viewer = new_client(), new_client()
    share(alice, shared["id"], carol, "editor")
    share(alice, shared["id"], viewer)
    messages = [post_message(client, shared, "Text") for client in (alice, carol)]
    before = [read(alice, path_of(each)) for each in messages]

    for client in (bob, viewer):
        for message in messages:
            for headers in ({}, {"If-Match": '"old"'}, {"If-Match": "*"}):
                for body in ({"content": "Forged"}, {}, {"content": "Text"}):
                    response = client.patch(path_of(message), json=body, headers=headers)
                    assert assert_problem(response, 403)["type"] == "/problems/forbidden"

    assert [read(alice, path_of(each)) for each in messages] == before
    assert [versions_of(alice, each) for each in messages] == [
        [version_of(messages[0])],
        [version_of(messages[1], user_of(carol))],
    ]


def test_editor_who_became_viewer_or_left_cannot_edit_any_more(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    message = post_message(bob, shared, "His")
    share(alice, shared["id"], bob, "viewer")
    as_viewer = bob.patch(path_of(message), json={"content": "Late"})
    assert read(bob, path_of(message)) == message
    unshare(alice, shared["id"], bob)
    as_stranger = bob.patch(path_of(message), json={"content": "Later"})

    assert_problem(as_viewer, 403)
    assert_problem(as_stranger, 403)
    assert_problem(bob.get(f"{path_of(message)}/versions"), 403)
    assert read(alice, path_of(message)) == message
    share(alice, shared["id"], bob, "editor")
    assert edit(bob, message, content="Again")["version"] == 2


def test_update_message_by_a_member_with_if_match(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    message = post_message(bob, shared, "His")
    tags = [client.get(path_of(message)).headers["etag"] for client in (alice, bob)]
    assert tags[0] == tags[1]

    first = bob.patch(path_of(message), json={"content": "New"}, headers={"If-Match": tags[1]})
    late = alice.patch(path_of(message), json={"content": "Late"}, headers={"If-Match": tags[0]})

    assert first.status_code == 200
    assert_problem(late, 412)
    assert first.headers["etag"] == alice.get(path_of(message)).headers["etag"]


def test_list_changes_has_edits_in_the_logs_of_all_members(
    alice: httpx.Client, bob: httpx.Client, new_client: NewClient, shared: Json
) -> None:
    viewer, former = new_client(), new_client()
    for client in (viewer, former):
        share(alice, shared["id"], client)
    unshare(alice, shared["id"], former)
    messages = [post_message(client, shared, "Text") for client in (alice, bob)]
    before = {client: position(client) for client in (alice, bob, viewer, former)}

    for client, message in zip((alice, bob), messages, strict=True):
        edit(client, message, content="Edited")
        edit(client, message, content="Edited")
    edit(alice, messages[1], metadata={})

    ids = [message["id"] for message in (*messages, messages[1])]
    for client in (alice, bob, viewer):
        found = list(changes_after(client, before[client]))
        tags = [client.get(f"/messages/{each}").headers["etag"] for each in ids]
        assert [(each["type"], each["id"], each["etag"]) for each in found] == [
            ("message.updated", *each) for each in zip(ids, tags, strict=True)
        ]
        assert {each["conversation_id"] for each in found} == {shared["id"]}
    assert list(changes_after(former, before[former])) == []


def test_update_message_keeps_the_order_of_members_lists(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    message = post_message(alice, shared, "Hello")
    newer = new_conversation(alice)
    share(alice, newer["id"], bob)
    before = read(bob, "/conversations")["conversations"]

    edit(alice, message, content="Edited")

    after = read(bob, "/conversations")["conversations"]
    assert [each["id"] for each in after] == [each["id"] for each in before]
    assert [each["updated_at"] for each in after] == [each["updated_at"] for each in before]
    assert after[-1]["last_message"]["content"] == "Edited"


def test_update_message_by_a_member_who_was_removed_during_the_upload(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    message = post_message(bob, shared, "His")
    removed = threading.Event()

    def body() -> Iterator[bytes]:
        yield b'{"content": "La'
        assert unshare(alice, shared["id"], bob).status_code == 204
        removed.set()
        yield b'te"}'

    response = bob.patch(
        path_of(message), content=body(), headers={"Content-Type": "application/json"}
    )

    assert removed.is_set()
    assert_problem(response, 403)
    assert read(alice, path_of(message)) == message
