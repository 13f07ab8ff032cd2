"""Each member organises shared conversations for themselves."""

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
    post_message,
    read,
    read_all,
    refusals,
)
from tests.contract import assert_problem
from tests.mirror import changes_after, position
from tests.sharing.members import share, unshare, user_of

LIST = "/conversations"


def path_of(conversation: Json) -> str:
    return f"/conversations/{conversation['id']}"


def mark(client: httpx.Client, conversation: Json, **body: Any) -> Json:
    response = client.put(f"{path_of(conversation)}/read", json=body)
    assert response.status_code == 200, response.text
    result: Json = response.json()
    return result


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_update_conversation_organises_for_the_member_only(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, role: str
) -> None:
    share(alice, conversation["id"], bob, role)
    of_alice, before = get_conversation(alice, conversation), get_conversation(bob, conversation)
    logs = position(alice), position(bob)
    new = {"pinned": True, "archived": True, "tags": ["b", "a"]}

    changed = change(bob, path_of(conversation), **new)

    assert changed == before | new
    assert get_conversation(bob, conversation) == changed
    assert get_conversation(alice, conversation) == of_alice
    assert position(alice) == logs[0]
    (entry,) = changes_after(bob, logs[1])
    assert (entry["type"], entry["id"]) == ("conversation.updated", conversation["id"])
    assert entry["etag"] == bob.get(path_of(conversation)).headers["etag"]


def test_update_conversation_does_not_tell_members_how_the_owner_organises(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    seen, before = get_conversation(bob, conversation), position(bob)

    changed = change(alice, path_of(conversation), pinned=True, tags=["hers"])
    mark(alice, conversation)

    assert changed["tags"] == ["hers"]
    assert get_conversation(bob, conversation) == seen
    assert position(bob) == before


def test_update_conversation_refuses_members_other_properties(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob, "editor")

    for body in ({"title": "T"}, {"pinned": True, "title": "T"}, {"model": None}):
        assert_problem(bob.patch(path_of(conversation), json=body), 403)
    assert not get_conversation(bob, conversation)["pinned"]


def test_update_conversation_of_a_member_honours_if_match(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    tag = bob.get(path_of(conversation)).headers["etag"]

    answers = [
        bob.patch(path_of(conversation), json={"tags": ["a"]}, headers={"If-Match": tag})
        for _ in range(2)
    ]

    assert [each.status_code for each in answers] == [200, 412]
    assert answers[0].headers["etag"] == bob.get(path_of(conversation)).headers["etag"]


def test_list_conversations_finds_shared_ones_by_what_the_member_chose(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    hers = [new_conversation(alice, agent_id="of-alice") for _ in range(4)]
    own = new_conversation(bob)
    for each in hers:
        share(alice, each["id"], bob)
    change(alice, path_of(hers[0]), pinned=True, archived=True, tags=["hers"])
    change(bob, path_of(hers[1]), pinned=True, tags=["his"])
    change(bob, path_of(hers[2]), archived=True, tags=["his"])
    decision = {"selected_agents": ["routed"]}
    post_message(alice, hers[3], "a", role="assistant", routing_decision=decision)

    expected: dict[str, tuple[dict[str, Any], list[Json]]] = {
        "all": ({"archived": "all"}, [hers[1], own, hers[3], hers[2], hers[0]]),
        "not archived": ({}, [hers[1], own, hers[3], hers[0]]),
        "archived": ({"archived": "true"}, [hers[2]]),
        "pinned": ({"pinned": "true"}, [hers[1]]),
        "tag": ({"tag": "his", "archived": "all"}, [hers[1], hers[2]]),
        "tag of the owner": ({"tag": "hers", "archived": "all"}, []),
        "agent": ({"agent_id": "of-alice"}, [hers[1], hers[3], hers[0]]),
        "agent of a decision": ({"agent_id": "routed"}, [hers[3]]),
        "shared": ({"shared": "true"}, [hers[1], hers[3], hers[0]]),
        "own": ({"shared": "false"}, [own]),
    }
    for name, (given, rows) in expected.items():
        for limit in (1, 2, 100):
            found = read_all(bob, LIST, **given, limit=limit)
            assert ids(found) == ids(rows), (name, limit)
            assert found == [get_conversation(bob, each) for each in rows], name
        assert read(bob, LIST, **given)["total"] == len(rows), name
    oldest_first = read_all(bob, LIST, order="asc", limit=2)
    assert ids(oldest_first) == ids([hers[1], hers[0], hers[3], own])


def test_list_conversations_finds_agents_of_decisions_before_the_share(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    decision = {"selected_agents": ["routed"]}
    post_message(alice, conversation, "a", role="assistant", routing_decision=decision)

    share(alice, conversation["id"], bob)

    assert ids(read_all(bob, LIST, agent_id="routed")) == [conversation["id"]]


def test_create_message_is_unread_for_all_others(
    alice: httpx.Client, bob: httpx.Client, new_client: Any, conversation: Json
) -> None:
    carol = new_client()
    post_message(alice, conversation, "Before")
    for client in (bob, carol):
        share(alice, conversation["id"], client, "editor")

    def counts() -> list[int]:
        everyone = (alice, bob, carol)
        return [get_conversation(each, conversation)["unread_count"] for each in everyone]

    seen = [counts()]
    for client, role in ((alice, "user"), (bob, "user"), (bob, "assistant"), (alice, "assistant")):
        decision = {"selected_agents": ["a"]}
        post_message(client, conversation, "Hello", role=role, routing_decision=decision)
        seen.append(counts())

    assert seen == [[0, 1, 1], [0, 2, 2], [1, 0, 3], [2, 1, 4], [3, 2, 5]]
    assert [row["unread_count"] for row in read_all(carol, LIST)] == [5]
    assert ids(read_all(carol, LIST, agent_id="a")) == [conversation["id"]]


def test_mark_conversation_read_moves_the_members_own_position(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    posted = [post_message(alice, conversation, f"{n}", role="assistant") for n in range(5)]
    share(alice, conversation["id"], bob)
    before = position(bob)

    counts = [
        mark(bob, conversation, message_id=posted[2]["id"])["unread_count"],
        mark(bob, conversation, position=1)["unread_count"],
        mark(bob, conversation, position=4)["unread_count"],
        mark(bob, conversation)["unread_count"],
        mark(bob, conversation)["unread_count"],
    ]

    assert counts == [2, 2, 1, 0, 0]
    assert get_conversation(alice, conversation)["unread_count"] == 5
    assert len(list(changes_after(bob, before))) == 3
    post_message(alice, conversation, "More", role="assistant")
    assert get_conversation(bob, conversation)["unread_count"] == 1


def test_mark_conversation_read_records_each_change_of_the_members_number(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, database: Any
) -> None:
    """Even one that corrects a wrong number."""
    share(alice, conversation["id"], bob)
    with database.cursor() as cursor:
        cursor.execute(
            "UPDATE memberships SET unread_count = 1 WHERE conversation_id = %s",
            [conversation["id"]],
        )
    before = position(bob)

    counts = [mark(bob, conversation)["unread_count"] for _ in range(2)]

    assert counts == [0, 0]
    assert [each["type"] for each in changes_after(bob, before)] == ["conversation.updated"]


def test_mark_conversation_read_refuses_members_messages_of_others(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    other = post_message(alice, new_conversation(alice), "Hello")

    response = bob.put(f"{path_of(conversation)}/read", json={"message_id": other["id"]})

    assert refusals(response) == {("body", "/message_id")}


def test_bulk_update_conversations_changes_shared_ones(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    hers, own = new_conversation(alice), new_conversation(bob)
    share(alice, hers["id"], bob)
    both = ids([own, hers])

    def bulk(action: str, **body: Any) -> list[tuple[str, int]]:
        response = bob.post("/conversations/bulk", json={"action": action, **body})
        assert response.status_code == 200, response.text
        return [(each["id"], each["status"]) for each in response.json()["results"]]

    assert bulk("pin", ids=both) == [(row_id, 200) for row_id in both]
    assert bulk("add_tags", ids=both, tags=["t"]) == [(row_id, 200) for row_id in both]
    assert bulk("archive", filter={"tag": "t", "shared": True}) == [(hers["id"], 200)]
    assert bulk("delete", filter={"shared": True}) == []
    assert bulk("delete", ids=both) == [(own["id"], 204), (hers["id"], 403)]
    seen = get_conversation(bob, hers)
    assert (seen["pinned"], seen["archived"], seen["tags"]) == (True, True, ["t"])
    assert get_conversation(alice, hers) == hers


def test_bulk_update_conversations_tells_members_of_deletions(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    share(alice, conversation["id"], bob)
    before = position(bob)
    body = {"action": "delete", "ids": [conversation["id"]]}

    assert alice.post("/conversations/bulk", json=body).json()["results"][0]["status"] == 204

    assert [each["type"] for each in changes_after(bob, before)] == ["conversation.deleted"]
    assert read_all(bob, LIST, archived="all") == []
    assert_problem(bob.get(path_of(conversation)), 404)


def test_former_member_keeps_nothing(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, database: Any
) -> None:
    share(alice, conversation["id"], bob)
    change(bob, path_of(conversation), tags=["a"], pinned=True)

    assert unshare(alice, conversation["id"], bob).status_code == 204

    with database.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM membership_tags WHERE user_id = %s", [user_of(bob)])
        assert cursor.fetchone() == (0,)
    assert_problem(bob.patch(path_of(conversation), json={"tags": ["b"]}), 403)
    assert_problem(bob.put(f"{path_of(conversation)}/read", json={}), 403)


def test_changed_role_keeps_what_the_member_chose(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    post_message(alice, conversation, "Hello", role="assistant")
    share(alice, conversation["id"], bob)
    mark(bob, conversation)
    change(bob, path_of(conversation), tags=["a"], pinned=True)
    before = get_conversation(bob, conversation)

    share(alice, conversation["id"], bob, "editor")

    assert get_conversation(bob, conversation) == before | {"role": "editor"}


def test_bulk_update_conversations_of_each_other_do_not_deadlock(
    alice: httpx.Client, bob: httpx.Client
) -> None:
    for _ in range(5):
        hers, his = ([new_conversation(each)["id"] for _ in range(5)] for each in (alice, bob))
        for row_id in hers:
            share(alice, row_id, bob)
        for row_id in his:
            share(bob, row_id, alice)
        body = {"action": "delete", "ids": [*hers, *his]}

        responses = at_once(
            [partial(client.post, "/conversations/bulk", json=body) for client in (alice, bob)]
        )

        assert [response.status_code for response in responses] == [200, 200]
