"""Idempotency keys that other requests or users have used, and invalid keys."""

import httpx
import pytest

from tests.calls import new_conversation, read
from tests.contract import Operation, Rows, assert_problem, places
from tests.posting import HEADER, assert_same_response, count, each_post, new_key, user_of


@each_post
def test_used_key_with_another_body_is_rejected(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    key, body = new_key(), operation.body(rows)
    first = operation.send(alice, rows, headers=key)
    before = count(alice, operation, rows)

    different = operation.send(alice, rows, headers=key, json=body | {"metadata": {"other": 1}})
    again = operation.send(alice, rows, headers=key)

    assert places(assert_problem(different, 422)) == {HEADER}
    assert_same_response(first, again)
    assert count(alice, operation, rows) == before


def test_used_key_with_another_path_is_rejected(alice: httpx.Client) -> None:
    one, other = [f"/conversations/{new_conversation(alice)['id']}/messages" for _ in range(2)]
    for path, other_path, body in (
        (one, other, {"role": "user", "content": "Hello"}),
        ("/conversations", "/runs", {"agent_id": "an agent"}),
    ):
        key = new_key()
        assert alice.post(path, json=body, headers=key).status_code == 201

        response = alice.post(other_path, json=body, headers=key)

        assert places(assert_problem(response, 422)) == {HEADER}
        assert read(alice, other_path)["total"] == 0


def test_users_do_not_share_keys(alice: httpx.Client, bob: httpx.Client) -> None:
    key = new_key()

    hers, his = (client.post("/conversations", json={}, headers=key) for client in (alice, bob))

    assert hers.status_code == his.status_code == 201
    assert hers.json()["id"] != his.json()["id"]
    assert his.json()["user_id"] == user_of(bob)
    assert_same_response(his, bob.post("/conversations", json={}, headers=key))


@pytest.mark.parametrize("key", ["x", '"quoted"', "k" * 255, "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"])
def test_keys_may_have_any_visible_ascii(alice: httpx.Client, key: str) -> None:
    headers = {"Idempotency-Key": key}

    first, again = [alice.post("/conversations", json={}, headers=headers) for _ in range(2)]

    assert_same_response(first, again)


@each_post
def test_invalid_keys_are_rejected(operation: Operation, alice: httpx.Client, rows: Rows) -> None:
    before = count(alice, operation, rows)

    for key in ("", "k" * 256, "two words", "tab\tbed", "schlüssel", "\x85"):
        headers = httpx.Headers([(b"Idempotency-Key", key.encode("latin-1"))])
        response = operation.send(alice, rows, headers=headers)
        assert places(assert_problem(response, 422)) == {HEADER}, key

    assert count(alice, operation, rows) == before


def test_two_keys_are_rejected(alice: httpx.Client) -> None:
    headers = [(name, key) for name, key in [*new_key().items(), *new_key().items()]]

    response = alice.post("/conversations", json={}, headers=httpx.Headers(headers))

    assert places(assert_problem(response, 422)) == {HEADER}
