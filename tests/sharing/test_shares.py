"""share_conversation, list_shares, unshare_conversation."""

import uuid
from typing import Any

import httpx
import pytest

from tests.calls import (
    TIME,
    Json,
    create,
    messages_of,
    new_conversation,
    post_message,
    read,
    refusals,
)
from tests.contract import NOWHERE, assert_problem
from tests.mirror import changes_after, position
from tests.sharing.members import share, shares_of, unshare, user_of


def test_share_conversation_returns_the_share(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    body = {"user_id": user_of(bob), "role": "viewer", "shared_by": "ignored"}

    response = alice.post(shares_of(conversation["id"]), json=body)

    assert response.status_code == 201
    assert response.headers["location"] == shares_of(conversation["id"])
    made = response.json()
    assert TIME.fullmatch(made["shared_at"])
    assert made == {
        "id": str(uuid.UUID(made["id"])),
        "conversation_id": conversation["id"],
        "user_id": user_of(bob),
        "role": "viewer",
        "shared_by": user_of(alice),
        "shared_at": made["shared_at"],
    }


def test_share_conversation_again_changes_the_role(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    first = share(alice, conversation["id"], bob, "viewer")

    second = share(alice, conversation["id"], bob, "editor")
    post_message(bob, conversation, "Hello")
    third = share(alice, conversation["id"], bob, "viewer")

    assert second == first | {"role": "editor"}
    assert third == first
    assert read(bob, f"/conversations/{conversation['id']}")["role"] == "viewer"
    message = {"role": "user", "content": "Hello again"}
    assert_problem(bob.post(messages_of(conversation), json=message), 403)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("DELETE FROM memberships WHERE conversation_id = %s AND user_id = %s", "created"),
        (
            "UPDATE memberships SET role = 'viewer' WHERE conversation_id = %s AND user_id = %s",
            "updated",
        ),
        ("DELETE FROM shares WHERE conversation_id = %s AND member_id = %s", "updated"),
        (
            "UPDATE shares SET role = 'viewer' WHERE conversation_id = %s AND member_id = %s",
            "updated",
        ),
    ],
)
def test_share_conversation_again_repairs_both_rows(
    alice: httpx.Client,
    bob: httpx.Client,
    conversation: Json,
    database: Any,
    damage: str,
    told: str,
) -> None:
    """The rows are on two nodes. A restored backup or SQL by hand may have changed only one."""
    share(alice, conversation["id"], bob, "editor")
    with database.cursor() as cursor:
        cursor.execute(damage, [conversation["id"], user_of(bob)])
        assert cursor.rowcount == 1
    before = position(bob)

    again = [share(alice, conversation["id"], bob, "editor") for _ in range(2)]

    post_message(bob, conversation, "Hello")
    assert read(bob, f"/conversations/{conversation['id']}")["role"] == "editor"
    assert read(alice, shares_of(conversation["id"]))["shares"] == [again[0]]
    assert again[0] == again[1]
    assert [each["type"] for each in changes_after(bob, before)] == [
        f"conversation.{told}",
        "message.created",
    ]


def test_share_conversation_with_oneself_is_refused(
    alice: httpx.Client, conversation: Json
) -> None:
    body = {"user_id": user_of(alice), "role": "viewer"}

    assert refusals(alice.post(shares_of(conversation["id"]), json=body)) == {("body", "/user_id")}


def test_list_shares_returns_all_oldest_first(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    path = shares_of(conversation["id"])
    assert read(alice, path) == {"shares": []}
    members = ["z", user_of(bob), "a"]
    made = [share(alice, conversation["id"], member) for member in members]

    assert read(alice, path) == read(bob, path) == {"shares": made}
    assert [each["user_id"] for each in made] == members


def test_unshare_conversation_ends_the_access(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)

    first, second = unshare(alice, conversation["id"], bob), unshare(alice, conversation["id"], bob)

    assert first.status_code == 204
    assert assert_problem(second, 404)["detail"] == "No member has this id."
    assert_problem(bob.get(f"/conversations/{conversation['id']}"), 403)
    assert read(alice, shares_of(conversation["id"])) == {"shares": []}


def test_share_conversation_with_a_key_repeats_its_response(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"user_id": user_of(bob), "role": "viewer"}

    first = alice.post(shares_of(conversation["id"]), json=body, headers=key)
    share(alice, conversation["id"], bob, "editor")
    again = alice.post(shares_of(conversation["id"]), json=body, headers=key)

    assert first.json() == again.json()
    assert first.headers["location"] == again.headers["location"]
    assert read(bob, f"/conversations/{conversation['id']}")["role"] == "editor"


def test_share_conversation_stops_at_100_members(alice: httpx.Client, conversation: Json) -> None:
    path = shares_of(conversation["id"])
    for number in range(100):
        share(alice, conversation["id"], f"member {number}")

    assert_problem(alice.post(path, json={"user_id": "another", "role": "viewer"}), 409)
    share(alice, conversation["id"], "member 7", "editor")
    assert unshare(alice, conversation["id"], "member 3").status_code == 204
    share(alice, conversation["id"], "another")

    assert len(read(alice, path)["shares"]) == 100


@pytest.mark.parametrize("role", ["owner", "", "Viewer", None, 1])
def test_share_conversation_refuses_other_roles(
    alice: httpx.Client, conversation: Json, role: object
) -> None:
    response = alice.post(shares_of(conversation["id"]), json={"user_id": "a", "role": role})

    assert refusals(response) == {("body", "/role")}


def test_shares_end_with_the_conversation(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")

    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 204

    for client in (alice, bob):
        assert client.get(f"/conversations/{conversation['id']}").status_code == 404
        assert client.get(shares_of(conversation["id"])).status_code == 404
        message = {"role": "user", "content": "Hello"}
        assert client.post(messages_of(conversation), json=message).status_code == 404


def test_share_conversation_of_nobody_or_of_another_user(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    body = {"user_id": "a", "role": "viewer"}

    assert_problem(bob.post(shares_of(conversation["id"]), json=body), 403)
    assert_problem(bob.post(shares_of(NOWHERE), json=body), 404)
    share(alice, conversation["id"], bob, "editor")
    assert_problem(bob.post(shares_of(conversation["id"]), json=body), 403)


def test_two_users_share_with_each_other(alice: httpx.Client, bob: httpx.Client) -> None:
    hers, his = new_conversation(alice, title="Hers"), new_conversation(bob, title="His")
    share(alice, hers["id"], bob)
    share(bob, his["id"], alice, "editor")

    assert read(alice, f"/conversations/{his['id']}")["role"] == "editor"
    assert read(alice, f"/conversations/{hers['id']}")["role"] == "owner"
    assert read(bob, f"/conversations/{hers['id']}")["role"] == "viewer"
    create(alice, messages_of(his), role="user", content="Hello")
