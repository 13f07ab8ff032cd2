"""Archiving, pinning and tagging conversations, and finding them by that."""

import base64
import json
import uuid
from itertools import product
from typing import Any

import httpx
import pytest

from tests.calls import (
    Json,
    change,
    get_conversation,
    ids,
    new_conversation,
    post_message,
    read,
    read_all,
    refusals,
)

LIST = "/conversations"


def path_of(conversation: Json) -> str:
    return f"/conversations/{conversation['id']}"


def organise(client: httpx.Client, conversation: Json, **properties: Any) -> Json:
    return change(client, path_of(conversation), **properties)


def test_update_conversation_archives_pins_and_tags(
    alice: httpx.Client, conversation: Json
) -> None:
    new = {"archived": True, "pinned": True, "tags": ["b", "a", "ü 🚀", "x" * 50]}

    changed = organise(alice, conversation, **new)

    assert changed == conversation | new
    assert get_conversation(alice, conversation) == changed
    assert organise(alice, conversation, archived=None, pinned=None, tags=None) == changed
    assert organise(alice, conversation, archived=False, pinned=False, tags=[]) == conversation


def test_update_conversation_drops_repeated_tags(alice: httpx.Client, conversation: Json) -> None:
    assert organise(alice, conversation, tags=["b", "a", "b", "B"])["tags"] == ["b", "a", "B"]


@pytest.mark.parametrize("tags", [[""], ["x" * 51], ["\0"], [1], [None], "a", ["t"] * 21])
def test_update_conversation_refuses_invalid_tags(
    alice: httpx.Client, conversation: Json, tags: Any
) -> None:
    response = alice.patch(path_of(conversation), json={"tags": tags})

    ((place, pointer),) = refusals(response)
    assert place == "body"
    assert pointer.startswith("/tags")


@pytest.mark.parametrize(
    "tag", [" ", "\t\n", "\u00a0", "\u200b", "\u2060\ufeff", "\u00ad", "\u3164"]
)
def test_update_conversation_refuses_tags_that_nobody_can_see(
    alice: httpx.Client, conversation: Json, tag: str
) -> None:
    response = alice.patch(path_of(conversation), json={"tags": ["a", tag, f" {tag}b"]})

    assert refusals(response) == {("body", "/tags/1")}
    assert get_conversation(alice, conversation)["tags"] == []


def test_update_conversation_with_if_match_changes_tags(
    alice: httpx.Client, conversation: Json
) -> None:
    tag = alice.get(path_of(conversation)).headers["etag"]
    statuses = [
        alice.patch(path_of(conversation), json={"tags": ["a"]}, headers={"If-Match": tag})
        for _ in range(2)
    ]

    assert [each.status_code for each in statuses] == [200, 412]
    assert ids(read_all(alice, LIST, tag="a")) == [conversation["id"]]


def test_list_conversations_leaves_archived_ones_out(alice: httpx.Client) -> None:
    kept, archived = new_conversation(alice), new_conversation(alice)
    organise(alice, archived, archived=True)

    found = {value: read(alice, LIST, archived=value) for value in ("false", "true", "all")}

    assert read(alice, LIST) == found["false"]
    assert {value: ids(page["conversations"]) for value, page in found.items()} == {
        "false": [kept["id"]],
        "true": [archived["id"]],
        "all": [archived["id"], kept["id"]],
    }
    assert [page["total"] for page in found.values()] == [1, 1, 2]


@pytest.mark.parametrize("name", ["archived", "pinned", "tag"])
def test_list_conversations_refuses_invalid_filters(alice: httpx.Client, name: str) -> None:
    for value in ("", "yes", "True") if name != "tag" else ("", "x" * 51):
        response = alice.get(LIST, params={name: value})
        assert refusals(response) == {("query", f"/{name}")}, value


@pytest.mark.parametrize("archived", ["false", "all"])
@pytest.mark.parametrize("order_by", ["created_at", "updated_at"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_list_conversations_pages_start_with_pinned_ones(
    alice: httpx.Client, order_by: str, order: str, archived: str
) -> None:
    made = [new_conversation(alice) for _ in range(9)]
    for number in (1, 4, 7):
        organise(alice, made[number], pinned=True)
    for number in (2, 4, 8):
        organise(alice, made[number], archived=True)
    post_message(alice, made[0], "Hello")
    current = [get_conversation(alice, each) for each in made]
    current.sort(key=lambda row: (row[order_by], row["id"]), reverse=order == "desc")
    expected = sorted(current, key=lambda row: not row["pinned"])
    if archived == "false":
        expected = [row for row in expected if not row["archived"]]

    for limit in (1, 2, 3, 4, 100):
        given = {"order_by": order_by, "order": order, "archived": archived, "limit": limit}
        assert read_all(alice, LIST, **given) == expected
        by_offset = [
            row
            for offset in range(0, len(expected), limit)
            for row in read(alice, LIST, **given, offset=offset)["conversations"]
        ]
        assert by_offset == expected
    assert read(alice, LIST, archived=archived)["total"] == len(expected)


def test_list_conversations_combines_all_filters(alice: httpx.Client) -> None:
    names = ("archived", "pinned", "tag", "source", "agent_id", "routed")
    made: dict[tuple[bool, ...], Json] = {}
    for values in product([False, True], repeat=len(names)):
        has = dict(zip(names, values, strict=True))
        agent_id = "a" if has["agent_id"] else "other"
        row = new_conversation(alice, source="s" if has["source"] else None, agent_id=agent_id)
        if has["routed"]:
            decision = {"selected_agents": ["b", "a"]}
            post_message(alice, row, "Hello", role="assistant", routing_decision=decision)
        tags = ["t"] if has["tag"] else ["T"]
        organise(alice, row, archived=has["archived"], pinned=has["pinned"], tags=tags)
        made[values] = row

    for wanted in product([None, False, True], [None, False, True], *[[None, True]] * 3):
        archived, pinned, tag, source, agent = wanted
        given: dict[str, Any] = {"archived": "all" if archived is None else str(archived).lower()}
        if pinned is not None:
            given["pinned"] = str(pinned).lower()
        given |= {"tag": "t"} if tag else {}
        given |= {"source": "s"} if source else {}
        given |= {"agent_id": "a"} if agent else {}
        expected = {
            row["id"]
            for row_values, row in made.items()
            if archived in (None, row_values[0])
            and pinned in (None, row_values[1])
            and tag in (None, row_values[2])
            and source in (None, row_values[3])
            and (not agent or row_values[4] or row_values[5])
        }
        page = read(alice, LIST, **given, limit=100)
        assert set(ids(page["conversations"])) == expected, given
        assert page["total"] == len(page["conversations"]) == len(expected)


def test_list_conversations_does_not_find_earlier_tags(
    alice: httpx.Client, conversation: Json
) -> None:
    for tags in (["a", "b"], ["b", "c"], []):
        organise(alice, conversation, tags=tags)
        found = [tag for tag in "abc" if read_all(alice, LIST, tag=tag)]
        assert found == tags


@pytest.mark.parametrize("rest", [[], [1]])
def test_list_conversations_continues_after_cursors_of_earlier_versions(
    alice: httpx.Client, rest: list[int]
) -> None:
    made = [new_conversation(alice) for _ in range(3)]
    cursor = read(alice, LIST, limit=1)["next_cursor"]
    name, key, *reader = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    assert len(key) == 3, "servers of version 1.1 read the cursor, too"
    old = [name, key[:2], *reader] if rest else [name, key[:2]]
    text = base64.urlsafe_b64encode(json.dumps(old).encode()).decode().rstrip("=")

    found = read(alice, LIST, cursor=text)

    assert ids(found["conversations"]) == [made[1]["id"], made[0]["id"]]
    assert found["total"] == 3


@pytest.mark.parametrize("end", [[1], ["true"], [True, True], [False]])
def test_list_conversations_refuses_other_keys(alice: httpx.Client, end: list[Any]) -> None:
    for _ in range(2):
        organise(alice, new_conversation(alice), pinned=True)
    cursor = read(alice, LIST, limit=1)["next_cursor"]
    name, key, *reader = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    assert key[3:] == [True]
    parts = [name, key[:3] + end, *reader]
    text = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")

    assert refusals(alice.get(LIST, params={"cursor": text})) == {("query", "/cursor")}


@pytest.mark.parametrize("pinned", ["true", "false"])
def test_list_conversations_with_a_cursor_of_another_part_has_no_error(
    alice: httpx.Client, pinned: str
) -> None:
    made = [new_conversation(alice) for _ in range(6)]
    for each in made[:3]:
        organise(alice, each, pinned=True)
    cursors = [read(alice, LIST, limit=limit)["next_cursor"] for limit in (1, 4)]

    for cursor, order in product(cursors, ["desc"]):
        found = read_all(alice, LIST, pinned=pinned, cursor=cursor, order=order)
        assert {row["pinned"] for row in found} <= {pinned == "true"}


def test_delete_conversation_deletes_its_tags_and_agents(
    alice: httpx.Client, conversation: Json, database: Any
) -> None:
    organise(alice, conversation, tags=["a"])
    decision = {"selected_agents": ["a"]}
    post_message(alice, conversation, "a", role="assistant", routing_decision=decision)

    assert alice.delete(path_of(conversation)).status_code == 204

    with database.cursor() as cursor:
        for table in ("conversation_tags", "conversation_agents"):
            cursor.execute(
                f"SELECT count(*) FROM {table} WHERE conversation_id = %s", [conversation["id"]]
            )
            assert cursor.fetchone() == (0,)


def test_update_conversation_refuses_to_organise_another_users(
    bob: httpx.Client, conversation: Json
) -> None:
    for properties in ({"pinned": True}, {"tags": ["a"]}):
        assert bob.patch(path_of(conversation), json=properties).status_code == 403
        nowhere = bob.patch(f"/conversations/{uuid.uuid4()}", json=properties)
        assert nowhere.status_code == 404
