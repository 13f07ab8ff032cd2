"""Branches of shared conversations: what members may do, and what they are told."""

import httpx
import pytest

from tests.branches.calls import activate, contents, fork, path_of, tree_of
from tests.calls import Json, get_conversation, new_attachment, post_message, refusals
from tests.contract import assert_problem
from tests.mirror import Mirror, changes_after, position, state
from tests.sharing.members import share, unshare, user_of


def mark_read(client: httpx.Client, conversation: Json) -> Json:
    """Mark everything as read; return the conversation."""
    found: Json = client.put(f"/conversations/{conversation['id']}/read", json={}).json()
    return found


def test_editors_start_and_switch_branches(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    question = post_message(alice, conversation, "question")
    answer = post_message(alice, conversation, "answer", role="assistant")
    share(alice, conversation["id"], bob, "editor")

    other = post_message(bob, conversation, "other", sibling_of=answer["id"])

    assert other["parent_id"] == question["id"]
    assert (other["sibling_index"], other["sibling_count"]) == (2, 2)
    assert path_of(alice, conversation) == path_of(bob, conversation) == [question, other]
    assert tree_of(alice, conversation) == tree_of(bob, conversation)
    switched = activate(bob, conversation, answer)
    assert switched == get_conversation(bob, conversation)
    assert (switched["role"], switched["message_count"]) == ("editor", 2)
    assert contents(alice, conversation) == ["question", "answer"]


def test_viewers_do_not_change_branches(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "1")
    share(alice, conversation["id"], bob, "viewer")
    before = tree_of(alice, conversation)
    path = f"/conversations/{conversation['id']}"
    body = {"role": "user", "content": "Hello", "sibling_of": first["id"]}

    assert_problem(bob.post(f"{path}/messages", json=body), 403)
    assert_problem(bob.put(f"{path}/active-message", json={"message_id": first["id"]}), 403)

    assert tree_of(alice, conversation) == before


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_members_do_not_delete_messages(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, role: str
) -> None:
    share(alice, conversation["id"], bob, role)
    message = post_message(alice if role == "viewer" else bob, conversation, "1")

    assert_problem(bob.delete(f"/messages/{message['id']}"), 403)

    assert path_of(alice, conversation) == [message]


def test_members_are_told_of_branches_and_deleted_messages(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "1")
    share(alice, conversation["id"], bob, "editor")
    mirrors = Mirror(alice), Mirror(bob)
    after = position(bob)

    second = post_message(alice, conversation, "2", sibling_of=first["id"])
    activate(bob, conversation, first)
    third = post_message(bob, conversation, "3", parent_id=second["id"])
    alice.delete(f"/messages/{second['id']}")

    found = list(changes_after(bob, after))
    assert [(each["type"], each["id"]) for each in found] == [
        ("conversation.branch_activated", conversation["id"]),
        ("message.created", second["id"]),
        ("conversation.branch_activated", conversation["id"]),
        ("conversation.branch_activated", conversation["id"]),
        ("message.created", third["id"]),
        ("message.deleted", second["id"]),
    ]
    assert found[-2]["etag"] == bob.get(f"/messages/{third['id']}").headers["etag"]
    for client, mirror in zip((alice, bob), mirrors, strict=True):
        mirror.follow(1)
        assert mirror.documents == state(client)


def test_each_member_has_unread_messages_of_the_active_branch(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    first = post_message(alice, conversation, "1")
    share(alice, conversation["id"], bob, "editor")
    mark_read(bob, conversation)
    second = post_message(alice, conversation, "2")
    third = post_message(alice, conversation, "3")
    assert get_conversation(bob, conversation)["unread_count"] == 2

    other = post_message(alice, conversation, "2b", sibling_of=second["id"])
    assert get_conversation(bob, conversation)["unread_count"] == 1
    assert activate(bob, conversation, third)["unread_count"] == 2
    assert get_conversation(alice, conversation)["unread_count"] == 0
    alice.delete(f"/messages/{second['id']}")
    assert get_conversation(bob, conversation)["unread_count"] == 1
    assert activate(bob, conversation, other)["unread_count"] == 1
    alice.delete(f"/messages/{first['id']}")
    assert get_conversation(bob, conversation)["unread_count"] == 1
    assert mark_read(bob, conversation)["unread_count"] == 0


@pytest.mark.parametrize("role", ["viewer", "editor"])
@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "a-copy"}])
def test_members_copy_shared_conversations(
    alice: httpx.Client,
    bob: httpx.Client,
    conversation: Json,
    role: str,
    headers: dict[str, str],
) -> None:
    file = new_attachment(alice)
    first = post_message(alice, conversation, "1", attachment_ids=[file["id"]])
    second = post_message(alice, conversation, "2")
    post_message(alice, conversation, "2b", sibling_of=second["id"])
    share(alice, conversation["id"], bob, role)
    before = position(alice)
    path = f"/conversations/{conversation['id']}/fork"

    made = [bob.post(path, headers=headers) for _ in range(2)]

    assert [each.status_code for each in made] == [201, 201]
    assert (made[0].json() == made[1].json()) is bool(headers)
    copy = made[0].json()
    assert copy["user_id"] == user_of(bob)
    assert (copy["role"], copy["shared_by"]) == ("owner", None)
    assert contents(bob, copy) == ["1", "2b"]
    shown = path_of(bob, copy)[0]["chat_attachments"]
    assert shown == first["chat_attachments"]
    assert position(alice) == before
    assert_problem(alice.get(f"/conversations/{copy['id']}"), 403)
    assert contents(bob, fork(bob, conversation, up_to=second["id"])) == ["1", "2"]
    wrong = post_message(bob, copy, "elsewhere")["id"]
    assert refusals(bob.post(path, json={"up_to": wrong})) == {("body", "/up_to")}


def test_former_members_do_not_copy(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    unshare(alice, conversation["id"], bob)

    assert_problem(bob.post(f"/conversations/{conversation['id']}/fork"), 403)
