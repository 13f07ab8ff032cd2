"""The user ids that share_conversation and unshare_conversation accept."""

import httpx
import pytest

from tests.calls import Json, messages_of, read, refusals
from tests.contract import assert_problem
from tests.sharing.members import NewClient, share, shares_of, unshare


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
