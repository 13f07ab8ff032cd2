"""share_conversation, list_shares, unshare_conversation."""

import uuid
from typing import Any

import httpx
import pytest

from tests.calls import (
    TIME,
    Json,
    create,
    ids,
    messages_of,
    new_conversation,
    new_run,
    pages,
    post_message,
    read,
    read_all,
    refusals,
    rows,
)
from tests.contract import NOWHERE, assert_problem
from tests.mirror import changes_after, position
from tests.sharing.members import NewClient, share, shares_of, unshare, user_of
from tests.workers import Worker, claimed_run


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


@pytest.mark.parametrize(
    "user_id",
    [
        "google/123",
        "a/../b",
        "auth0|user",
        'it\'s \\ "me" %s $$; --',
        "100%",
        "Zoë 家 😀",
        "a,b",
        "{a}",
        "?a=b#c",
        "x" * 255,
        "😀" * 255,
        " ",
        "...",
        "../..",
    ],
)
def test_shares_of_unusual_user_ids(
    new_client: NewClient, alice: httpx.Client, conversation: Json, user_id: str
) -> None:
    member = new_client(user_id)

    made = share(alice, conversation["id"], user_id, "editor")
    message, key = {"role": "user", "content": "Hello"}, {"Idempotency-Key": "the-same-key"}
    posted, again = (
        member.post(messages_of(conversation), json=message, headers=key).json() for _ in range(2)
    )

    assert made["user_id"] == user_id
    assert posted == again
    assert read(member, f"/messages/{posted['id']}") == posted
    assert unshare(member, conversation["id"], user_id).status_code == 204
    assert_problem(member.get(f"/messages/{posted['id']}"), 403)


@pytest.mark.parametrize(
    "user_id",
    ["", "x" * 256, "a\0b", "a\nb", "\x7f", "\x85", None, 5, ["a"], ".", ".."],
)
def test_share_conversation_refuses_what_is_no_user_id(
    alice: httpx.Client, conversation: Json, user_id: object
) -> None:
    response = alice.post(
        shares_of(conversation["id"]), json={"user_id": user_id, "role": "viewer"}
    )

    assert refusals(response) == {("body", "/user_id")}


@pytest.mark.parametrize("user_id", ["x" * 256, "a%00b", "a%0Ab", "%7F", "%C2%85", "%2E", "%2E%2E"])
def test_unshare_conversation_refuses_what_is_no_user_id(
    alice: httpx.Client, conversation: Json, user_id: str
) -> None:
    response = alice.delete(f"{shares_of(conversation['id'])}/{user_id}")

    assert refusals(response) == {("path", "/user_id")}


def test_unshare_conversation_refuses_a_path_that_is_not_utf_8(
    alice: httpx.Client, conversation: Json
) -> None:
    path = shares_of(conversation["id"])
    share(alice, conversation["id"], "\ufffd")

    for odd in ("%FF", "%ED%A0%80", "%C3%28", "a%FFb%EF%BF%BD"):
        problem = assert_problem(alice.delete(f"{path}/{odd}"), 422)
        assert problem["errors"] == [
            {"in": "path", "pointer": "", "detail": "must be percent-encoded UTF-8"}
        ]

    assert alice.delete(f"{path}/%EF%BF%BD").status_code == 204


@pytest.mark.parametrize("role", ["owner", "", "Viewer", None, 1])
def test_share_conversation_refuses_other_roles(
    alice: httpx.Client, conversation: Json, role: object
) -> None:
    response = alice.post(shares_of(conversation["id"]), json={"user_id": "a", "role": role})

    assert refusals(response) == {("body", "/role")}


def test_member_pages_through_messages_by_cursor(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")
    made = [post_message(each, conversation, "Hello") for each in (alice, bob, alice, bob, alice)]

    found = list(pages(bob, messages_of(conversation), limit=2))

    assert [ids(rows(page)) for page in found] == [ids(made[:2]), ids(made[2:4]), ids(made[4:])]
    assert read_all(alice, messages_of(conversation)) == made
    hers = read(alice, messages_of(conversation), limit=2)["next_cursor"]
    response = bob.get(messages_of(conversation), params={"cursor": hers})
    assert refusals(response) == {("query", "/cursor")}


def test_editor_repeats_create_message_with_a_key(
    alice: httpx.Client, bob: httpx.Client, new_client: NewClient, conversation: Json
) -> None:
    carol, other = new_client(), new_conversation(alice)
    for each in (bob, carol):
        share(alice, conversation["id"], each, "editor")
    share(alice, other["id"], bob, "editor")
    key = {"Idempotency-Key": "the-same-key-for-all"}
    body = {"role": "user", "content": "Hello"}

    def post(client: httpx.Client, to: Json, **changes: str) -> httpx.Response:
        return client.post(messages_of(to), json=body | changes, headers=key)

    first = [post(each, conversation) for each in (alice, bob, carol)]
    second = [post(each, conversation) for each in (alice, bob, carol)]
    elsewhere = post(bob, other)

    assert {answer.status_code for answer in (*first, elsewhere)} == {201}
    assert [answer.json() for answer in first] == [answer.json() for answer in second]
    assert len({answer.json()["id"] for answer in (*first, elsewhere)}) == 4
    assert refusals(post(bob, conversation, content="Another")) == {("header", "/Idempotency-Key")}
    assert read(alice, messages_of(conversation))["total"] == 3
    unshare(alice, conversation["id"], bob)
    assert_problem(post(bob, conversation), 403)


def test_editor_cannot_repeat_a_key_of_an_own_object(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")
    key, body = {"Idempotency-Key": "the-same-key"}, {"role": "user", "content": "Hello"}
    own = messages_of(new_conversation(bob))

    assert bob.post(own, json=body, headers=key).status_code == 201
    response = bob.post(messages_of(conversation), json=body, headers=key)

    assert refusals(response) == {("header", "/Idempotency-Key")}


def test_members_get_the_owners_tags(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    message = post_message(alice, conversation, "Hello")

    hers, his = (each.get(f"/messages/{message['id']}") for each in (alice, bob))
    tag = bob.get(f"/conversations/{conversation['id']}").headers["etag"]

    assert (his.json(), his.headers["etag"]) == (hers.json(), hers.headers["etag"])
    again = bob.get(f"/conversations/{conversation['id']}", headers={"If-None-Match": tag})
    assert again.status_code == 304


def test_list_run_events_hides_the_input_from_members(
    alice: httpx.Client, bob: httpx.Client, worker: Worker, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    secret = {"input": {"secret": 12345678901234567890}}
    claim = claimed_run(alice, worker, conversation_id=conversation["id"], **secret)
    worker.update(claim, status="succeeded")
    path = f"/runs/{claim.run['id']}/events"

    hers, his = read(alice, path), read(bob, path)

    assert [each["data"]["input"] for each in hers["events"]] == [secret["input"]] * 2
    assert his == hers | {
        "events": [each | {"data": each["data"] | {"input": None}} for each in hers["events"]]
    }
    assert_problem(bob.get(f"/runs/{claim.run['id']}"), 403)


def test_events_of_runs_of_other_conversations_stay_hidden(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)

    for body in ({}, {"conversation_id": new_conversation(alice)["id"]}):
        run = new_run(alice, **body)
        assert_problem(bob.get(f"/runs/{run['id']}/events"), 403)


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
