"""The stored responses of POSTs with an Idempotency-Key: their content and their end."""

from typing import Any

import httpx

from tests.calls import create, new_conversation, post_message, read
from tests.posting import assert_same_response, execute, new_key, user_of


def test_expired_key_can_be_used_again(alice: httpx.Client, database: Any) -> None:
    key, own = new_key(), "WHERE user_id = %s AND key = %s"
    place = (user_of(alice), key["Idempotency-Key"])
    first = alice.post("/conversations", json={"source": "first"}, headers=key)
    kept = execute(database, f"SELECT expires_at - now() FROM idempotency_keys {own}", *place)
    execute(database, f"UPDATE idempotency_keys SET expires_at = now() {own}", *place)

    second = alice.post("/conversations", json={"source": "second"}, headers=key)
    again = alice.post("/conversations", json={"source": "second"}, headers=key)

    assert 23.9 * 3600 < kept.total_seconds() <= 24 * 3600
    assert second.json()["id"] != first.json()["id"]
    assert_same_response(second, again)
    assert read(alice, "/conversations")["total"] == 2
    assert execute(database, f"SELECT count(*) FROM idempotency_keys {own}", *place) == 1


def test_delete_conversation_deletes_only_the_responses_about_it(
    alice: httpx.Client, database: Any
) -> None:
    keys = [new_key() for _ in range(5)]
    conversation = alice.post("/conversations", json={}, headers=keys[0]).json()
    path = f"/conversations/{conversation['id']}/messages"
    message = {"role": "user", "content": "A secret."}
    run = {"agent_id": "an agent", "conversation_id": conversation["id"]}
    sent = [("/conversations", {}), (path, message), ("/runs", run), ("/runs", {"agent_id": "a"})]
    for (to, body), key in zip(sent, keys, strict=False):
        assert alice.post(to, json=body, headers=key).status_code == 201
    other = new_conversation(alice)
    create(alice, f"/conversations/{other['id']}/messages", role="user", content="Kept.")
    kept = alice.post(f"/conversations/{other['id']}/messages", json=message, headers=keys[4])

    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 204

    stored = "SELECT count(*) FROM idempotency_keys WHERE user_id = %s"
    assert execute(database, stored, user_of(alice)) == 2
    again = [
        alice.post(to, json=body, headers=key) for (to, body), key in zip(sent, keys, strict=False)
    ]
    assert [answer.status_code for answer in again] == [201, 404, 422, 201]
    assert again[0].json()["id"] != conversation["id"]
    assert read(alice, "/runs")["total"] == 2
    assert_same_response(
        kept, alice.post(f"/conversations/{other['id']}/messages", json=message, headers=keys[4])
    )


def test_repeated_response_keeps_every_character(alice: httpx.Client) -> None:
    key, conversation = new_key(), new_conversation(alice)
    content = "".join(map(chr, [*range(1, 0x300), 0x2028, 0xFFFD, 0xFFFF, 0x1F600])) * 100
    body = {"role": "user", "content": content}
    path = f"/conversations/{conversation['id']}/messages"

    first, again = [alice.post(path, json=body, headers=key) for _ in range(2)]

    assert_same_response(first, again)
    assert again.json()["content"] == content
    post_message(alice, conversation, "and it goes on")
