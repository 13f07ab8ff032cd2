"""A POST with an Idempotency-Key is carried out once, no matter how often it is sent."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calls import Json, change, new_conversation, read
from tests.contract import OPERATIONS, Operation, Rows, assert_problem, places
from tests.posting import HEADER, POSTS, assert_same_response, count, each_post, new_key
from tests.servers import Server


@pytest.fixture(scope="module")
def carol(server: Server) -> Iterator[httpx.Client]:
    """A user for the tests with many rows."""
    with server.client(f"carol-{uuid.uuid4()}") as client:
        yield client


def test_every_post_that_adds_something_accepts_a_key() -> None:
    taking = [o for o in OPERATIONS if any(p["name"] == "Idempotency-Key" for p in o.parameters)]

    # Repeated, a change of 500 conversations by a filter would change the next 500.
    others = {"bulk_update_conversations"}
    assert [o for o in taking if o.operation_id not in others] == POSTS
    assert {o.operation_id for o in taking if o not in POSTS} == others
    assert all(409 in operation.statuses for operation in taking)


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
