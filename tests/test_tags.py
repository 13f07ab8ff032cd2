"""Entity tags: when they change, and how lists of them are compared (RFC 9110 section 8.8.3)."""

import re
from typing import Any

import httpx
import orjson
from hypothesis import given
from hypothesis import strategies as st

from agent_api.http import etag
from tests.calls import new_conversation, post_message
from tests.contract import CONTRACT, OPERATIONS, Rows, assert_problem, containers_last

SETTINGS = "/users/me/chat-settings"


def test_every_response_with_a_conversation_has_the_same_tag(alice: httpx.Client) -> None:
    made = alice.post("/conversations", json={"metadata": {"b": 1.50, "a": ["ä", None]}})
    path = made.headers["location"]

    seen = [
        made,
        alice.get(path),
        alice.get(path, params={"include_messages": False}),
        alice.get(path, params={"message_limit": 1, "message_offset": 7}),
        alice.head(path),
        alice.patch(path, json={}),
        alice.patch(path, json={"metadata": {"b": 1.5, "a": ["ä", None]}}),
    ]

    assert {response.headers["etag"] for response in seen} == {made.headers["etag"]}


def test_get_conversation_has_the_same_tag_with_and_without_messages(alice: httpx.Client) -> None:
    conversation = new_conversation(alice)
    path = f"/conversations/{conversation['id']}"
    for number in range(3):
        post_message(alice, conversation, f"Number {number}")

    whole = alice.get(path)
    part = alice.get(path, params={"message_limit": 1, "message_offset": 1})
    bare = alice.get(path, params={"include_messages": False})

    assert len(whole.json()["messages"]) == 3
    assert len(part.json()["messages"]) == 1
    assert "messages" not in bare.json()
    assert len({response.headers["etag"] for response in (whole, part, bare)}) == 1
    known = {"If-None-Match": bare.headers["etag"]}
    assert alice.get(path, params={"message_limit": 2}, headers=known).status_code == 304


def test_create_message_changes_the_tag_of_its_conversation(alice: httpx.Client) -> None:
    conversation = new_conversation(alice, title="Leases")
    path = f"/conversations/{conversation['id']}"
    tags = [alice.get(path).headers["etag"]]

    for _ in range(3):
        post_message(alice, conversation, "The same again")
        tags.append(alice.get(path, headers={"If-None-Match": tags[-1]}).headers["etag"])

    assert len(set(tags)) == 4
    stale = alice.patch(path, json={"title": "Offers"}, headers={"If-Match": tags[-2]})
    assert_problem(stale, 412)


def test_every_response_with_a_message_or_run_has_the_same_tag(alice: httpx.Client) -> None:
    conversation = new_conversation(alice)
    message = {"role": "user", "content": "Which lease costs less?"}
    said = alice.post(f"/conversations/{conversation['id']}/messages", json=message)
    run = alice.post("/runs", json={"agent_id": "a", "input": {"b": 1, "a": 2}})
    running = alice.patch(run.headers["location"], json={"status": "running"})

    assert alice.get(said.headers["location"]).headers["etag"] == said.headers["etag"]
    assert alice.patch(run.headers["location"], json={}).headers["etag"] == running.headers["etag"]
    assert alice.get(run.headers["location"]).headers["etag"] == running.headers["etag"]
    assert run.headers["etag"] != running.headers["etag"]


def test_update_chat_settings_changes_the_tag_of_the_defaults(
    alice: httpx.Client,
) -> None:
    unsaved = alice.get(SETTINGS)
    saved = alice.put(SETTINGS, json={}, headers={"If-Match": unsaved.headers["etag"]})

    assert alice.get(SETTINGS, headers={"If-None-Match": saved.headers["etag"]}).status_code == 304
    assert saved.headers["etag"] != unsaved.headers["etag"]
    assert saved.json()["id"] is not None
    assert saved.json()["created_at"] == saved.json()["updated_at"]


def test_only_operations_that_declare_a_tag_send_one(alice: httpx.Client, rows: Rows) -> None:
    operations = [operation for operation in OPERATIONS if not operation.for_workers]
    for operation in containers_last(operations):
        source = CONTRACT["paths"][operation.path][operation.method.lower()]
        wanted = "ETag" in source["responses"][str(operation.success)]["headers"]

        response = operation.send(alice, rows)

        assert response.status_code == operation.success, response.text
        assert ("etag" in response.headers) == wanted, operation.operation_id


# Lists of tags, without a server

OPAQUE = st.text("!#',*/W~a\x80\xff", max_size=5)
TAG = st.tuples(st.sampled_from(["", "W/"]), OPAQUE).map(lambda tag: f'{tag[0]}"{tag[1]}"')
GAP = st.sampled_from([",", ", ", " ,", "\t,\t", ",,", " , , "])
PATTERN = CONTRACT["components"]["parameters"]["IfMatch"]["schema"]["pattern"]


@given(st.lists(st.tuples(TAG, GAP), min_size=1), st.just("") | GAP.map(str.strip), st.booleans())
def test_lists_of_tags_are_parsed(
    parts: list[tuple[str, str]], lead: str, ends_with_gap: bool
) -> None:
    text = lead + "".join(tag + gap for tag, gap in parts)
    text = text if ends_with_gap else text[: -len(parts[-1][1])]

    assert re.search(PATTERN, text)
    assert etag.tags(text) == [tag for tag, _ in parts]


@given(st.lists(TAG, min_size=1), TAG.map(lambda tag: tag.removeprefix("W/")))
def test_tags_are_compared_as_the_rfc_says(listed: list[str], tag: str) -> None:
    """Strong comparison requires two strong tags, weak only equal opaque parts (8.8.3.2)."""
    text = ", ".join(listed)

    assert etag.matches_strongly(text, tag) == (tag in listed)
    assert etag.matches_weakly(text, tag) == (tag in [t.removeprefix("W/") for t in listed])


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@given(JSON, JSON)
def test_tags_are_equal_only_for_equal_content(one: Any, other: Any) -> None:
    text, another = orjson.dumps(one), orjson.dumps(other)

    assert (etag.of(text) == etag.of(another)) == (text == another)
    assert re.fullmatch(
        CONTRACT["components"]["headers"]["ETag"]["schema"]["pattern"], etag.of(text)
    )
