"""A POST with an Idempotency-Key is carried out once, however often it is sent."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls import Json, change, create, new_conversation, post_message, read
from tests.contract import (
    OPERATIONS,
    Operation,
    Rows,
    assert_problem,
    make_rows,
    places,
)
from tests.posting import POSTS, ask, assert_same_answer, count, each_post, new_key
from tests.servers import Server

HEADER = "header:/Idempotency-Key"


@pytest.fixture
def rows(alice: httpx.Client) -> Rows:
    """One row of each kind of alice's."""
    return make_rows(alice)


@pytest.fixture(scope="module")
def carol(server: Server) -> Iterator[httpx.Client]:
    """A user of this module's own, for tests that make many rows."""
    with server.client(f"carol-{uuid.uuid4()}") as client:
        yield client


def user_of(client: httpx.Client) -> str:
    user_id: str = read(client, "/users/me/chat-settings")["user_id"]
    return user_id


# The first answer again


def test_every_post_takes_a_key() -> None:
    taking = [o for o in OPERATIONS if any(p["name"] == "Idempotency-Key" for p in o.parameters)]

    assert taking == POSTS
    assert all(409 in operation.statuses for operation in POSTS)


@each_post
def test_a_repeated_post_gets_the_first_answer_and_makes_nothing(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    before, key = count(alice, operation, rows), new_key()

    first, *others = [operation.send(alice, rows, headers=key) for _ in range(3)]

    for again in others:
        assert_same_answer(first, again)
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert count(alice, operation, rows) == before + 1


@each_post
def test_without_a_key_and_with_others_each_post_makes_a_row(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    before = count(alice, operation, rows)
    headers = [{}, {}, new_key(), new_key()]

    made = [operation.send(alice, rows, headers=each).json()["id"] for each in headers]

    assert len(set(made)) == 4
    assert count(alice, operation, rows) == before + 4


def test_the_answer_stays_the_first_when_the_row_has_changed(alice: httpx.Client) -> None:
    key = new_key()
    first = alice.post("/conversations", json={}, headers=key)
    change(alice, f"/conversations/{first.json()['id']}", title="Renamed")

    again = alice.post("/conversations", json={}, headers=key)

    assert_same_answer(first, again)
    assert again.json()["title"] == "New Conversation"


def test_a_body_that_is_absent_is_as_good_as_an_empty_one(alice: httpx.Client) -> None:
    key = new_key()

    first = alice.post("/conversations", headers=key)
    again = alice.post("/conversations", json={}, headers=key)

    assert_same_answer(first, again)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text("aé\U0001f600", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)


def reversed_keys(value: Any) -> Any:
    """Return the same JSON value with the properties of every object the other way round."""
    if isinstance(value, dict):
        return {name: reversed_keys(item) for name, item in reversed(value.items())}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


@given(
    st.dictionaries(st.text("abc", max_size=3), JSON_VALUES),
    st.dictionaries(st.text("abc", max_size=3), JSON_VALUES),
)
@settings(max_examples=40, deadline=None)
def test_bodies_are_the_same_if_their_values_are(
    carol: httpx.Client, metadata: Json, other: Json
) -> None:
    headers = {**new_key(), "Content-Type": "application/json"}
    body = {"source": "property", "metadata": metadata}
    first = carol.post("/conversations", content=json.dumps(body), headers=headers)

    rewritten = json.dumps(reversed_keys(body), indent=3, ensure_ascii=False).encode()
    again = carol.post("/conversations", content=rewritten, headers=headers)
    different = carol.post("/conversations", json=body | {"metadata": other}, headers=headers)

    assert_same_answer(first, again)
    # As text: for Python, True is 1.
    if json.dumps(metadata, sort_keys=True) == json.dumps(other, sort_keys=True):
        assert_same_answer(first, different)
    else:
        assert places(assert_problem(different, 422)) == {HEADER}


@given(st.lists(st.tuples(st.sampled_from(["", "1", "2", "3"]), st.sampled_from("ab"))))
@settings(max_examples=40, deadline=None)
def test_of_any_sequence_of_posts_each_key_makes_one_row(
    carol: httpx.Client, sent: list[tuple[str, str]]
) -> None:
    """The whole rule as a model: a dictionary of the first request and answer of each key."""
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


# A key that was used for something else


@each_post
def test_another_body_is_refused_and_makes_nothing(
    operation: Operation, alice: httpx.Client, rows: Rows
) -> None:
    key, body = new_key(), operation.body(rows)
    first = operation.send(alice, rows, headers=key)
    before = count(alice, operation, rows)

    different = operation.send(alice, rows, headers=key, json=body | {"metadata": {"other": 1}})
    again = operation.send(alice, rows, headers=key)

    assert places(assert_problem(different, 422)) == {HEADER}
    assert_same_answer(first, again)
    assert count(alice, operation, rows) == before


def test_another_path_is_refused(alice: httpx.Client) -> None:
    key, body = new_key(), {"role": "user", "content": "Hello"}
    one, other = [f"/conversations/{new_conversation(alice)['id']}/messages" for _ in range(2)]
    assert alice.post(one, json=body, headers=key).status_code == 201

    response = alice.post(other, json=body, headers=key)

    assert places(assert_problem(response, 422)) == {HEADER}
    assert read(alice, other)["total"] == 0


def test_another_operation_is_refused(alice: httpx.Client) -> None:
    key, body = new_key(), {"agent_id": "an agent"}
    assert alice.post("/conversations", json=body, headers=key).status_code == 201

    response = alice.post("/runs", json=body, headers=key)

    assert places(assert_problem(response, 422)) == {HEADER}
    assert read(alice, "/runs")["total"] == 0


def test_the_same_key_of_another_user_is_another_key(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    key = new_key()

    hers, his = (client.post("/conversations", json={}, headers=key) for client in (alice, bob))

    assert hers.status_code == his.status_code == 201
    assert hers.json()["id"] != his.json()["id"]
    assert his.json()["user_id"] == user_of(bob)
    assert_same_answer(his, bob.post("/conversations", json={}, headers=key))


@pytest.mark.parametrize("key", ["x", '"quoted"', "k" * 255, "!#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"])
def test_any_visible_ascii_is_a_key(alice: httpx.Client, key: str) -> None:
    headers = {"Idempotency-Key": key}

    first, again = [alice.post("/conversations", json={}, headers=headers) for _ in range(2)]

    assert_same_answer(first, again)


@pytest.mark.parametrize(
    "key", ["", "k" * 256, "two words", "tab\tbed", "schlüssel", "\x85"], ids=ascii
)
@each_post
def test_another_key_is_refused(
    operation: Operation, alice: httpx.Client, rows: Rows, key: str
) -> None:
    before = count(alice, operation, rows)
    headers = httpx.Headers([(b"Idempotency-Key", key.encode("latin-1"))])

    response = operation.send(alice, rows, headers=headers)

    assert places(assert_problem(response, 422)) == {HEADER}
    assert count(alice, operation, rows) == before


def test_two_keys_are_refused(alice: httpx.Client) -> None:
    headers = [(name, key) for name, key in [*new_key().items(), *new_key().items()]]

    response = alice.post("/conversations", json={}, headers=httpx.Headers(headers))

    assert places(assert_problem(response, 422)) == {HEADER}


# How long an answer is kept


def test_an_expired_key_is_a_new_one(alice: httpx.Client, database: Any) -> None:
    key, own = new_key(), "WHERE user_id = %s AND key = %s"
    place = (user_of(alice), key["Idempotency-Key"])
    first = alice.post("/conversations", json={"source": "first"}, headers=key)
    kept = ask(database, f"SELECT expires_at - now() FROM idempotency_keys {own}", *place)
    ask(database, f"UPDATE idempotency_keys SET expires_at = now() {own}", *place)

    second = alice.post("/conversations", json={"source": "second"}, headers=key)
    again = alice.post("/conversations", json={"source": "second"}, headers=key)

    assert 23.9 * 3600 < kept.total_seconds() <= 24 * 3600
    assert second.json()["id"] != first.json()["id"]
    assert_same_answer(second, again)
    assert read(alice, "/conversations")["total"] == 2
    assert ask(database, f"SELECT count(*) FROM idempotency_keys {own}", *place) == 1


def test_each_new_key_clears_away_some_that_have_expired(
    alice: httpx.Client, database: Any
) -> None:
    gone = f"gone-{uuid.uuid4()}"
    ask(
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
        counts.append(ask(database, left, gone))

    assert counts == [5, 0, 0]  # ten went with the rows that were inserted just now
    assert ask(database, left, user_of(alice)) == 3


def test_delete_conversation_deletes_the_answers_about_it_and_no_others(
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
    assert ask(database, stored, user_of(alice)) == 2
    again = [
        alice.post(to, json=body, headers=key) for (to, body), key in zip(sent, keys, strict=False)
    ]
    assert [answer.status_code for answer in again] == [201, 404, 422, 201]
    assert again[0].json()["id"] != conversation["id"]
    assert read(alice, "/runs")["total"] == 2
    assert_same_answer(
        kept, alice.post(f"/conversations/{other['id']}/messages", json=message, headers=keys[4])
    )


def test_an_answer_keeps_every_character(alice: httpx.Client) -> None:
    key, conversation = new_key(), new_conversation(alice)
    content = "".join(map(chr, [*range(1, 0x300), 0x2028, 0xFFFD, 0xFFFF, 0x1F600])) * 100
    body = {"role": "user", "content": content}
    path = f"/conversations/{conversation['id']}/messages"

    first, again = [alice.post(path, json=body, headers=key) for _ in range(2)]

    assert_same_answer(first, again)
    assert again.json()["content"] == content
    post_message(alice, conversation, "and it goes on")
