"""Deletion of messages over HTTP, also on branches."""

import httpx

from tests.branches.calls import tree_of
from tests.calls import (
    Json,
    create,
    get_conversation,
    messages_of,
    post_message,
    read,
    read_all,
)


def test_delete_message_attaches_its_replies_to_its_parent(
    alice: httpx.Client, conversation: Json
) -> None:
    one = post_message(alice, conversation, "1")
    two = post_message(alice, conversation, "2")
    three = post_message(alice, conversation, "3")

    assert alice.delete(f"/messages/{two['id']}").status_code == 204

    expected = [one, three | {"parent_id": one["id"]}]
    assert read_all(alice, messages_of(conversation)) == expected
    assert tree_of(alice, conversation) == expected
    assert read(alice, f"/messages/{three['id']}") == expected[1]
    assert alice.get(f"/messages/{two['id']}").status_code == 404
    assert alice.delete(f"/messages/{two['id']}").status_code == 404
    stored = get_conversation(alice, conversation)
    assert stored["message_count"] == 2
    assert stored["updated_at"] == three["created_at"]


def test_delete_message_updates_the_preview(alice: httpx.Client, conversation: Json) -> None:
    one = post_message(alice, conversation, "1")
    two = post_message(alice, conversation, "2")

    alice.delete(f"/messages/{two['id']}")
    assert get_conversation(alice, conversation)["last_message"]["content"] == "1"
    alice.delete(f"/messages/{one['id']}")
    stored = get_conversation(alice, conversation)
    assert (stored["message_count"], stored["last_message"]) == (0, None)
    assert stored["updated_at"] == two["created_at"]
    assert post_message(alice, conversation, "3")["parent_id"] is None


def test_delete_message_of_the_last_one_shows_its_newest_sibling(
    alice: httpx.Client, conversation: Json
) -> None:
    question = post_message(alice, conversation, "question")
    answers = [
        post_message(alice, conversation, f"answer {number}", parent_id=question["id"])
        for number in range(3)
    ]

    alice.delete(f"/messages/{answers[2]['id']}")

    path = read_all(alice, messages_of(conversation))
    assert [message["content"] for message in path] == ["question", "answer 1"]
    assert (path[1]["sibling_index"], path[1]["sibling_count"]) == (2, 2)
    assert get_conversation(alice, conversation)["last_message"]["content"] == "answer 1"


def test_delete_message_with_branches_merges_siblings(
    alice: httpx.Client, conversation: Json
) -> None:
    one = post_message(alice, conversation, "1")
    two = post_message(alice, conversation, "2")
    three = post_message(alice, conversation, "3")
    other = post_message(alice, conversation, "2b", parent_id=one["id"])

    alice.delete(f"/messages/{two['id']}")

    found = {each["id"]: each for each in tree_of(alice, conversation)}
    assert found[three["id"]]["parent_id"] == one["id"]
    assert [found[each["id"]]["sibling_index"] for each in (three, other)] == [1, 2]
    assert [found[each["id"]]["sibling_count"] for each in (three, other)] == [2, 2]
    assert get_conversation(alice, conversation)["message_count"] == 2


def test_delete_message_deletes_only_the_version_that_the_client_knows(
    alice: httpx.Client, conversation: Json
) -> None:
    one = post_message(alice, conversation, "1")
    path = f"/messages/{one['id']}"
    tag = alice.get(path).headers["etag"]
    post_message(alice, conversation, "1b", sibling_of=one["id"])

    assert alice.delete(path, headers={"If-Match": tag}).status_code == 412
    tag = alice.get(path).headers["etag"]
    assert alice.delete(path, headers={"If-Match": tag}).status_code == 204


def test_delete_message_deletes_its_attachments(alice: httpx.Client, conversation: Json) -> None:
    file = {"filename": "lease.pdf", "file_url": "s3://leases/lease.pdf"}
    attachment = create(alice, "/chat-attachments", **file)
    kept = create(alice, "/chat-attachments", **file)
    message = post_message(alice, conversation, "1", attachment_ids=[attachment["id"]])
    post_message(alice, conversation, "2", attachment_ids=[kept["id"]])

    alice.delete(f"/messages/{message['id']}")

    assert alice.get(f"/chat-attachments/{attachment['id']}").status_code == 404
    assert alice.get(f"/chat-attachments/{kept['id']}").status_code == 200


def test_delete_message_counts_unread_messages(alice: httpx.Client, conversation: Json) -> None:
    post_message(alice, conversation, "question")
    read_one = post_message(alice, conversation, "read", role="assistant")
    alice.put(f"/conversations/{conversation['id']}/read", json={})
    unread = [
        post_message(alice, conversation, f"unread {number}", role="assistant")
        for number in range(3)
    ]

    alice.delete(f"/messages/{read_one['id']}")
    assert get_conversation(alice, conversation)["unread_count"] == 3
    alice.delete(f"/messages/{unread[1]['id']}")
    assert get_conversation(alice, conversation)["unread_count"] == 2
