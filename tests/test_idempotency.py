"""A POST with an Idempotency-Key is carried out once, no matter how often it is sent."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import Json, change, create, new_conversation, post_message, read
from tests.contract import OPERATIONS, Operation, Rows, assert_problem, make_rows, places
from tests.posting import POSTS, assert_same_response, count, each_post, execute, new_key
from tests.servers import Server

HEADER = "header:/Idempotency-Key"


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """One row of each kind, owned by alice."""
    return make_rows(alice)


@pytest.fixture(scope="module")
def carol(server: Server) -> Iterator[httpx.Client]:
    """A user for the tests with many rows."""
    with server.client(f"carol-{uuid.uuid4()}") as client:
        yield client


def user_of(client: httpx.Client) -> str:
    user_id: str = read(client, "/users/me/chat-settings")["user_id"]
    return user_id


# Repeated requests


def test_every_post_accepts_a_key() -> None:
    taking = [o for o in OPERATIONS if any(p["name"] == "Idempotency-Key" for p in o.parameters)]

    assert taking == POSTS
    assert all(409 in operation.statuses for operation in POSTS)


@each_post
def test_repeated_post_gets_the_first_response_and_creates_nothing(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    before, key = count(alice, operation, rows), new_key()

    first, *others = [operation.send(alice, rows, headers=key) for _ in range(3)]

    for again in others:
        assert_same_response(first, again)
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert count(alice, operation, rows) == before + 1


@each_post
def test_posts_without_a_key_or_with_new_keys_create_rows(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    before = count(alice, operation, rows)
    headers = [{}, {}, new_key(), new_key()]

    made = [operation.send(alice, rows, headers=each).json()["id"] for each in headers]

    assert len(set(made)) == 4
    assert count(alice, operation, rows) == before + 4


def test_repeated_post_gets_the_first_response_after_changes_too(alice: httpx.Client) -> None:
    key = new_key()
    first = alice.post("/conversations", json={}, headers=key)
    change(alice, f"/conversations/{first.json()['id']}", title="Renamed")

    again = alice.post("/conversations", json={}, headers=key)

    assert_same_response(first, again)
    assert again.json()["title"] == "New Conversation"


def test_absent_and_empty_bodies_are_the_same_request(alice: httpx.Client) -> None:
    key = new_key()

    first = alice.post("/conversations", headers=key)
    again = alice.post("/conversations", json={}, headers=key)

    assert_same_response(first, again)


@each_post
def test_ids_written_differently_are_the_same_request(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    """UUIDs are compared without case (RFC 9562 section 4), URLs without percent-encoding."""
    before, key = count(alice, operation, rows), new_key()
    upper = {name: row_id.upper() for name, row_id in rows.items()}
    encoded = {name: f"%{ord(row_id[0]):x}{row_id[1:]}" for name, row_id in rows.items()}
    references = operation.example.keys() & rows.keys()
    body, upper_body = (
        operation.example | {name: ids[name] for name in references} for ids in (rows, upper)
    )

    first = operation.send(alice, rows, headers=key, json=body)
    others = [
        operation.send(alice, upper, headers=key, json=body),
        operation.send(alice, rows, headers=key, json=upper_body),
        operation.send(alice, encoded, headers=key, json=body),
    ]

    for again in others:
        assert_same_response(first, again)
    assert count(alice, operation, rows) == before + 1


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("aé\U0001f600", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)


def reversed_keys(value: Any) -> Any:
    """Return `value` with the properties of every object in reverse order."""
    if isinstance(value, dict):
        return {name: reversed_keys(item) for name, item in reversed(value.items())}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(
    st.dictionaries(st.text("abc", max_size=3), JSON_VALUES),
    st.dictionaries(st.text("abc", max_size=3), JSON_VALUES),
)
def test_bodies_are_compared_by_value(carol: httpx.Client, metadata: Json, other: Json) -> None:
    headers = {**new_key(), "Content-Type": "application/json"}
    body = {"source": "property", "metadata": metadata}
    first = carol.post("/conversations", content=json.dumps(body), headers=headers)

    rewritten = json.dumps(reversed_keys(body), indent=3, ensure_ascii=False).encode()
    again = carol.post("/conversations", content=rewritten, headers=headers)
    different = carol.post("/conversations", json=body | {"metadata": other}, headers=headers)

    assert_same_response(first, again)
    # Compared as text because True equals 1 in Python.
    if json.dumps(metadata, sort_keys=True) == json.dumps(other, sort_keys=True):
        assert_same_response(first, different)
    else:
        assert places(assert_problem(different, 422)) == {HEADER}


@given(st.lists(st.tuples(st.sampled_from(["", "1", "2", "3"]), st.sampled_from("ab"))))
def test_each_key_creates_one_row_in_any_sequence_of_posts(
    carol: httpx.Client, sent: list[tuple[str, str]]
) -> None:
    """The model is a dictionary of each key's first request and response."""
    conversation = new_conversation(carol)
    path, run = f"/conversations/{conversation['id']}/messages", uuid.uuid4()
    known: dict[str, tuple[str, bytes]] = {}
    expected: list[str] = []

    for name, content in sent:
        headers = {"Idempotency-Key": f"{run}-{name}"} if name else {}
        body = {"role": "user", "content": content}
        answer = carol.post(path, json=body, headers=headers)
        first = known.get(name)
        if first is None:
            assert answer.status_code == 201
            expected.append(answer.json()["id"])
            if name:
                known[name] = content, answer.content
        elif first[0] == content:
            assert (answer.status_code, answer.content) == (201, first[1])
        else:
            assert places(assert_problem(answer, 422)) == {HEADER}

    found = read(carol, path, limit=500)["messages"]
    assert [message["id"] for message in found] == expected


# Keys of other requests, invalid keys


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


# Stored responses


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


def test_each_new_key_deletes_some_expired_ones(alice: httpx.Client, database: Any) -> None:
    gone = f"gone-{uuid.uuid4()}"
    execute(
        database,
        "INSERT INTO idempotency_keys"
        " (user_id, key, fingerprint, status, headers, body, expires_at)"
        " SELECT %s, n, sha256(''), 201, '{}', '', timestamptz '2001-01-01Z' + n * interval '1 s'"
        " FROM generate_series(1, 25) n",
        gone,
    )
    left = "SELECT count(*) FROM idempotency_keys WHERE user_id = %s"

    counts = []
    for _ in range(3):
        assert alice.post("/conversations", json={}, headers=new_key()).status_code == 201
        counts.append(execute(database, left, gone))

    assert counts == [5, 0, 0]  # the INSERT above deleted ten, the first POST ten more
    assert execute(database, left, user_of(alice)) == 3


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
