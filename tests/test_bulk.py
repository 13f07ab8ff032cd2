"""Changing many conversations at once."""

import time
import uuid
from functools import partial
from typing import Any

import httpx
import pytest

from tests.calls import (
    Json,
    at_once,
    change,
    get_conversation,
    ids,
    new_conversation,
    new_run,
    post_message,
    read,
    read_all,
    refusals,
)
from tests.mirror import changes_after, position

BULK = "/conversations/bulk"


def bulk(client: httpx.Client, action: str, **body: Any) -> list[Json]:
    response = client.post(BULK, json={"action": action, **body})
    assert response.status_code == 200, response.text
    results: list[Json] = response.json()["results"]
    return results


def done(row_ids: list[str], status: int = 200) -> list[Json]:
    return [{"id": row_id, "status": status, "problem": None} for row_id in row_ids]


@pytest.mark.parametrize(
    ("action", "name", "value"),
    [
        ("archive", "archived", True),
        ("unarchive", "archived", False),
        ("pin", "pinned", True),
        ("unpin", "pinned", False),
    ],
)
def test_bulk_update_conversations_sets_a_property(
    alice: httpx.Client, action: str, name: str, value: bool
) -> None:
    made = [new_conversation(alice) for _ in range(4)]
    for each in made[:2]:
        change(alice, f"/conversations/{each['id']}", **{name: True})
    chosen = ids(made[1:3])

    assert bulk(alice, action, ids=chosen) == done(chosen)

    expected = [True, value, value, False]
    assert [get_conversation(alice, each) for each in made] == [
        each | {name: state} for each, state in zip(made, expected, strict=True)
    ]


def test_bulk_update_conversations_adds_and_removes_tags(alice: httpx.Client) -> None:
    made = [new_conversation(alice) for _ in range(3)]
    change(alice, f"/conversations/{made[0]['id']}", tags=["c", "a"])

    bulk(alice, "add_tags", ids=ids(made[:2]), tags=["a", "b", "a"])
    added = [get_conversation(alice, each)["tags"] for each in made]
    bulk(alice, "remove_tags", ids=ids(made), tags=["a", "x"])
    removed = [get_conversation(alice, each)["tags"] for each in made]

    assert added == [["c", "a", "b"], ["a", "b"], []]
    assert removed == [["c", "b"], ["b"], []]
    assert [len(read_all(alice, "/conversations", tag=tag)) for tag in "abc"] == [0, 2, 1]


def test_bulk_update_conversations_refuses_too_many_tags_for_one(alice: httpx.Client) -> None:
    full, other = new_conversation(alice), new_conversation(alice)
    change(alice, f"/conversations/{full['id']}", tags=[f"t{n}" for n in range(20)])

    results = bulk(alice, "add_tags", ids=ids([full, other]), tags=["t1", "new"])
    same = bulk(alice, "add_tags", ids=[full["id"]], tags=["t1", "t2"])

    assert [each["status"] for each in results] == [422, 200]
    assert results[0]["problem"]["errors"][0]["pointer"] == "/tags"
    assert same == done([full["id"]])
    assert len(get_conversation(alice, full)["tags"]) == 20
    assert get_conversation(alice, other)["tags"] == ["t1", "new"]


def test_bulk_update_conversations_deletes(alice: httpx.Client) -> None:
    made = [new_conversation(alice) for _ in range(3)]
    post_message(alice, made[0], "Hello")
    run = new_run(alice, conversation_id=made[0]["id"])

    results = bulk(alice, "delete", ids=ids(made[:2]))

    assert results == done(ids(made[:2]), 204)
    assert ids(read_all(alice, "/conversations")) == [made[2]["id"]]
    assert read(alice, f"/runs/{run['id']}")["conversation_id"] is None


@pytest.mark.parametrize("action", ["archive", "add_tags", "delete"])
def test_bulk_update_conversations_reports_unknown_and_foreign_ids_alike(
    alice: httpx.Client, bob: httpx.Client, action: str
) -> None:
    hers, his = new_conversation(alice), new_conversation(bob)
    nobodys = str(uuid.uuid4())
    before = position(bob)

    results = bulk(alice, action, ids=[nobodys, hers["id"], his["id"]], tags=["t"])

    assert [each["status"] for each in results] == [404, 204 if action == "delete" else 200, 404]
    assert results[0]["problem"] == results[2]["problem"]
    assert results[0]["problem"]["type"] == "/problems/not-found"
    assert get_conversation(bob, his) == his
    assert position(bob) == before


def test_bulk_update_conversations_has_one_result_for_a_repeated_id(alice: httpx.Client) -> None:
    row_id = new_conversation(alice)["id"]

    assert bulk(alice, "pin", ids=[row_id, row_id.upper(), row_id]) == done([row_id])


def test_bulk_update_conversations_changes_what_a_filter_selects(alice: httpx.Client) -> None:
    made = [new_conversation(alice, source="a" if n % 2 else "b") for n in range(6)]
    a, b = ids(made[1::2]), ids(made[::2])

    assert bulk(alice, "archive", filter={"source": "a", "archived": None}) == done(a)
    assert bulk(alice, "archive", filter={"source": "a"}) == []
    assert bulk(alice, "add_tags", filter={"archived": False}, tags=["t"]) == done(b)
    assert bulk(alice, "pin", filter={"tag": "t", "source": "a"}) == []
    assert bulk(alice, "unarchive", filter={"archived": True, "pinned": False}) == done(a)
    assert bulk(alice, "delete", filter={"tag": "t"}) == done(b, 204)
    assert sorted(ids(read_all(alice, "/conversations"))) == a


def test_bulk_update_conversations_of_a_filter_ends_despite_full_ones(alice: httpx.Client) -> None:
    full, other = (new_conversation(alice, source="a") for _ in range(2))
    change(alice, f"/conversations/{full['id']}", tags=[f"t{n}" for n in range(20)])

    results = [bulk(alice, "add_tags", filter={"source": "a"}, tags=["new"]) for _ in range(2)]

    assert results == [done([other["id"]]), []]
    assert len(get_conversation(alice, full)["tags"]) == 20


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/ids"),
        ({"ids": None, "filter": None}, "/ids"),
        ({"ids": [str(uuid.uuid4())], "filter": {"tag": "t"}}, "/ids"),
        ({"ids": []}, "/ids"),
        ({"ids": ["x"]}, "/ids/0"),
        ({"ids": [str(uuid.uuid4())] * 501}, "/ids"),
        ({"filter": {}}, "/filter"),
        ({"filter": {"tag": None, "pinned": None}}, "/filter"),
        ({"filter": {"archive": False, "source": "agent-manager"}}, "/filter"),
        ({"filter": {"archived": False, "order": None}}, "/filter"),
        ({"filter": {"tag": ""}}, "/filter/tag"),
        ({"ids": [str(uuid.uuid4())], "action": "add_tags"}, "/tags"),
        ({"ids": [str(uuid.uuid4())], "action": "remove_tags", "tags": []}, "/tags"),
        ({"ids": [str(uuid.uuid4())], "action": "add_tags", "tags": ["t", " "]}, "/tags/1"),
        ({"ids": [str(uuid.uuid4())], "action": "explode"}, "/action"),
    ],
)
def test_bulk_update_conversations_refuses_invalid_bodies(
    alice: httpx.Client, conversation: Json, body: Json, pointer: str
) -> None:
    response = alice.post(BULK, json={"action": "delete", **body})

    assert ("body", pointer) in refusals(response)
    assert ids(read_all(alice, "/conversations")) == [conversation["id"]]


def test_bulk_update_conversations_records_each_change(alice: httpx.Client) -> None:
    made = [new_conversation(alice) for _ in range(3)]
    before = position(alice)

    bulk(alice, "archive", ids=ids(made))
    bulk(alice, "delete", ids=ids(made))

    found = [(each["type"], each["id"]) for each in changes_after(alice, before)]
    assert sorted(found[:3]) == [("conversation.updated", row_id) for row_id in ids(made)]
    assert sorted(found[3:]) == [("conversation.deleted", row_id) for row_id in ids(made)]


def test_bulk_update_conversations_repeats_its_answer_for_a_key(alice: httpx.Client) -> None:
    made = [new_conversation(alice) for _ in range(2)]
    body = {"action": "delete", "ids": ids(made)}
    headers = {"Idempotency-Key": str(uuid.uuid4())}

    first, second = (alice.post(BULK, json=body, headers=headers) for _ in range(2))

    assert first.status_code == second.status_code == 200
    assert first.json() == second.json() == {"results": done(ids(made), 204)}


def test_bulk_update_conversations_at_once_do_not_deadlock(alice: httpx.Client) -> None:
    made = ids([new_conversation(alice) for _ in range(30)])
    actions = [("pin", made), ("archive", made[::-1]), ("add_tags", made[10:] + made[:10])] * 3

    results = at_once(
        [partial(bulk, alice, action, ids=chosen, tags=["t"]) for action, chosen in actions]
    )

    assert all(each["status"] == 200 for found in results for each in found)


def five_hundred(client: httpx.Client) -> tuple[list[Json], float]:
    """Return new conversations, and how many seconds may pass in a second of an idle machine.

    Creating them takes less than a second, unless others use the machine.
    """
    started = time.monotonic()
    made = [new_conversation(client) for _ in range(500)]
    return made, max(1, time.monotonic() - started)


@pytest.mark.slow
@pytest.mark.parametrize("action", ["archive", "add_tags", "remove_tags", "delete"])
def test_bulk_update_conversations_changes_500_in_a_second(
    alice: httpx.Client, action: str
) -> None:
    made, pace = five_hundred(alice)
    for each in made[:100]:
        post_message(alice, each, "Hello")
    started = time.monotonic()
    results = bulk(alice, action, ids=ids(made), tags=["a", "b"])
    seconds = time.monotonic() - started

    assert results == done(ids(made), 204 if action == "delete" else 200)
    assert seconds < pace


SHARE_ALL = """
UPDATE conversations SET was_shared = true WHERE id = ANY(%(ids)s::uuid[]);
INSERT INTO shares (conversation_id, user_id, member_id, role)
SELECT id, user_id, 'm' || n || CASE WHEN %(differ)s THEN id::text ELSE '' END, 'viewer'
FROM conversations, generate_series(1, 20) AS n WHERE id = ANY(%(ids)s::uuid[]);
INSERT INTO memberships
  (conversation_id, user_id, owner_id, share_id, role, shared_at, created_at, updated_at)
SELECT conversation_id, member_id, user_id, id, role, now(), now(), now()
FROM shares WHERE conversation_id = ANY(%(ids)s::uuid[])
"""
COUNT_LEFT = """
SELECT (SELECT count(*) FROM memberships WHERE conversation_id = ANY(%(ids)s::uuid[])),
  (SELECT count(*) FROM changes
   WHERE conversation_id = ANY(%(ids)s::uuid[]) AND type = 'conversation.deleted')
"""


@pytest.mark.slow
@pytest.mark.parametrize(("differ", "seconds"), [(False, 1), (True, 3)])
def test_bulk_update_conversations_deletes_500_with_20_members_each(
    alice: httpx.Client, database: Any, differ: bool, seconds: int
) -> None:
    """The members of the conversations are the same, or differ."""
    conversations, pace = five_hundred(alice)
    made = ids(conversations)
    with database.cursor() as cursor:
        cursor.execute(SHARE_ALL, {"ids": made, "differ": differ})

    started = time.monotonic()
    results = bulk(alice, "delete", ids=made)
    taken = time.monotonic() - started

    assert results == done(made, 204)
    assert taken < seconds * pace
    with database.cursor() as cursor:
        cursor.execute(COUNT_LEFT, {"ids": made})
        assert cursor.fetchone() == (0, 500 * 21)
