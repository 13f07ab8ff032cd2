"""Attachments of messages in shared conversations."""

import httpx
import pytest

from tests.calls import (
    Json,
    get_conversation,
    ids,
    messages_of,
    new_attachment,
    new_conversation,
    post_message,
    read,
    rows,
)
from tests.contract import assert_problem
from tests.mirror import changes_after, position
from tests.sharing.members import share, unshare

ROLES = ("viewer", "editor")


@pytest.fixture
def shared(alice: httpx.Client) -> Json:
    """A conversation of Alice."""
    return new_conversation(alice)


def path_of(attachment: Json) -> str:
    return f"/chat-attachments/{attachment['id']}"


def attach(client: httpx.Client, conversation: Json, *attachments: Json) -> Json:
    """Post a message with attachments."""
    return post_message(client, conversation, "See this.", attachment_ids=ids(attachments))


def of_messages(client: httpx.Client, after: int) -> list[tuple[str, str, str | None]]:
    return [
        (each["type"], each["id"], each["etag"])
        for each in changes_after(client, after)
        if each["type"].startswith("message.")
    ]


@pytest.mark.parametrize("role", ROLES)
def test_members_see_attachments_of_messages_and_cannot_get_or_delete_them(
    alice: httpx.Client, bob: httpx.Client, shared: Json, role: str
) -> None:
    attachment = new_attachment(alice, parsed_content="The rent is 3,150 euros.")
    share(alice, shared["id"], bob, role)

    message = attach(alice, shared, attachment)

    assert ids(message["chat_attachments"]) == [attachment["id"]]
    assert rows(read(bob, messages_of(shared))) == [message]
    assert read(bob, f"/messages/{message['id']}") == message
    assert_problem(bob.get(path_of(attachment)), 403)
    assert_problem(bob.delete(path_of(attachment)), 403)
    assert rows(read(bob, "/chat-attachments", conversation_id=shared["id"])) == []
    assert read(alice, path_of(attachment))["message_id"] == message["id"]


def test_editors_add_their_own_attachments_which_are_copied_to_the_owner(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    of_bob = new_attachment(
        bob, parsed_content="3,150 euros.", added_to_library=True, library_document_id="doc-7714"
    )
    share(alice, shared["id"], bob, "editor")
    before = position(alice)

    message = attach(bob, shared, of_bob)

    (shown,) = message["chat_attachments"]
    kept = ("filename", "file_url", "mime_type", "size_bytes", "created_at")
    assert {name: shown[name] for name in kept} == {name: of_bob[name] for name in kept}
    assert shown["id"] != of_bob["id"]
    assert (shown["added_to_library"], shown["library_document_id"]) == (False, None)
    for client in (alice, bob):
        assert rows(read(client, messages_of(shared))) == [message]
    copy = read(alice, path_of(shown))
    assert copy == shown | {
        "parsed_content": "3,150 euros.",
        "conversation_id": shared["id"],
        "message_id": message["id"],
    }
    assert rows(read(alice, "/chat-attachments", conversation_id=shared["id"])) == [copy]
    assert [each["type"] for each in changes_after(alice, before)] == [
        "chat_attachment.created",
        "message.created",
    ]
    assert_problem(bob.get(path_of(shown)), 403)
    assert read(bob, path_of(of_bob)) == of_bob
    assert rows(read(bob, "/chat-attachments")) == [of_bob]

    ids_of_both = ids([of_bob, new_attachment(bob)])
    again = post_message(
        bob, shared, "And this.", attachment_ids=ids_of_both, sibling_of=message["id"]
    )
    assert len({each["id"] for each in (shown, *again["chat_attachments"])}) == 3
    assert alice.delete(path_of(shown)).status_code == 204
    assert read(bob, f"/messages/{message['id']}")["chat_attachments"] == []
    assert alice.delete(f"/conversations/{shared['id']}").status_code == 204
    assert rows(read(alice, "/chat-attachments")) == []
    assert read(bob, path_of(of_bob)) == of_bob


def test_only_editors_add_attachments_and_only_their_own(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    of_alice, of_bob, in_a_message = (
        new_attachment(alice),
        new_attachment(bob),
        new_attachment(bob),
    )
    attach(bob, new_conversation(bob), in_a_message)
    body = {"role": "user", "content": "See this."}

    def post(*attachments: Json) -> httpx.Response:
        return bob.post(messages_of(shared), json=body | {"attachment_ids": ids(attachments)})

    assert_problem(post(of_bob), 403)
    share(alice, shared["id"], bob)
    assert_problem(post(of_bob), 403)
    share(alice, shared["id"], bob, "editor")
    assert assert_problem(post(of_bob, of_alice, of_bob, in_a_message), 422)["errors"] == [
        {"in": "body", "pointer": f"/attachment_ids/{index}", "detail": detail}
        for index, detail in (
            (1, "does not refer to an attachment of yours"),
            (2, "is in the list twice"),
            (3, "belongs to a message already"),
        )
    ]

    assert read(alice, messages_of(shared))["total"] == 0
    assert rows(read(alice, "/chat-attachments")) == [of_alice]
    assert read(bob, path_of(of_bob)) == of_bob
    assert post().status_code == 201


def test_editors_attachments_of_a_message_have_at_most_16_mib_of_text(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    long = [new_attachment(bob, parsed_content="x" * 1_000_000) for _ in range(17)]
    share(alice, shared["id"], bob, "editor")

    refused = bob.post(
        messages_of(shared),
        json={"role": "user", "content": "See these.", "attachment_ids": ids(long)},
    )

    (error,) = assert_problem(refused, 422)["errors"]
    assert error["pointer"] == "/attachment_ids"
    assert "16 MiB" in error["detail"]
    assert read(alice, "/chat-attachments")["total"] == 0
    assert len(attach(bob, shared, *long[:16])["chat_attachments"]) == 16
    assert read(alice, "/chat-attachments")["total"] == 16


def test_list_changes_of_members_has_messages_with_attachments_and_their_deletion(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    kept, deleted = new_attachment(alice), new_attachment(alice)
    share(alice, shared["id"], bob)
    before = {client: position(client) for client in (alice, bob)}

    message = attach(alice, shared, kept, deleted)
    conversation = get_conversation(bob, shared)
    assert alice.delete(path_of(deleted)).status_code == 204

    found = bob.get(f"/messages/{message['id']}")
    assert ids(found.json()["chat_attachments"]) == [kept["id"]]
    tag = found.headers["etag"]
    for client, after in before.items():
        assert of_messages(client, after) == [
            ("message.created", message["id"], tag),
            ("message.updated", message["id"], tag),
        ]
    types = [each["type"] for each in changes_after(bob, before[bob])]
    assert types == ["message.created", "message.updated"]
    assert get_conversation(bob, shared)["updated_at"] == conversation["updated_at"]
    assert (
        read(bob, "/conversations")["conversations"][0]["updated_at"]
        == (conversation["updated_at"])
    )


def test_former_members_are_not_told_about_attachments(
    alice: httpx.Client, bob: httpx.Client, shared: Json
) -> None:
    attachment = new_attachment(alice)
    share(alice, shared["id"], bob)
    unshare(alice, shared["id"], bob)
    after = position(bob)

    message = attach(alice, shared, attachment)
    assert ids(message["chat_attachments"]) == [attachment["id"]]
    assert alice.delete(path_of(attachment)).status_code == 204

    assert list(changes_after(bob, after)) == []
    assert read(alice, f"/messages/{message['id']}")["chat_attachments"] == []
