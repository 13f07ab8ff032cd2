"""search finds the user's messages by their words, best match first."""

import uuid
from typing import Any

import httpx
import pytest

from tests.calls import (
    Json,
    change,
    messages_of,
    new_conversation,
    new_run,
    post_message,
    read,
    read_all,
    refusals,
    rows,
)
from tests.searching.calls import SEARCH, found, highlighted, search
from tests.workers import Worker, claimed_run

TEXTS = {
    "lease": "The lease of Harbour Street costs less than the other lease offer.",
    "mill": "Mill Lane: the rent is fixed for five years, parking included.",
    "answer": "South grew fastest, by 14 %, mostly through renewals in August.",
}


@pytest.fixture
def posted(alice: httpx.Client, conversation: Json) -> dict[str, str]:
    """The ids of messages with TEXTS, by name."""
    return {name: post_message(alice, conversation, text)["id"] for name, text in TEXTS.items()}


@pytest.mark.parametrize(
    ("q", "names"),
    [
        ("lease", {"lease"}),
        ("LEASE harbour", {"lease"}),
        ("harbour lease", {"lease"}),
        ("lease rent", set()),
        ("lease or rent", {"lease", "mill"}),
        ("lease OR rent or august", {"lease", "mill", "answer"}),
        ("the or fastest parking", {"mill"}),
        ("the -lease", {"mill"}),
        ('the -"harbour street"', {"mill"}),
        ('"harbour street"', {"lease"}),
        ('"street harbour"', set()),
        ('"the rent is fixed for five years"', {"mill"}),
        ("five-years", {"mill"}),
        ("“harbour street”", {"lease"}),
        ('"harbour street', {"lease"}),
        ("14", {"answer"}),
        ("harbo", set()),
        ("or or lease", {"lease"}),
    ],
)
def test_search_understands_web_searches(
    alice: httpx.Client, posted: dict[str, str], q: str, names: set[str]
) -> None:
    assert set(found(alice, q)) == {posted[name] for name in names}


def test_search_returns_the_message_with_its_conversation(
    alice: httpx.Client, conversation: Json, posted: dict[str, str]
) -> None:
    path = f"/conversations/{conversation['id']}"
    change(alice, path, title="Offers", agent_id="analyst")

    (result,) = search(alice, "rent")

    message = read(alice, f"/messages/{posted['mill']}")
    assert result.pop("score") > 0
    assert highlighted(result) == ["rent"]
    del result["highlights"]
    assert result == {
        "message_id": message["id"],
        "position": 2,
        "role": "user",
        "created_at": message["created_at"],
        "conversation": {
            "id": conversation["id"],
            "title": "Offers",
            "role": "owner",
            "shared_by": None,
            "source": None,
            "agent_id": "analyst",
            "archived": False,
        },
        "snippet": TEXTS["mill"],
    }


def test_search_returns_the_best_match_first(alice: httpx.Client, conversation: Json) -> None:
    far = post_message(alice, conversation, "red " + "grey " * 30 + "door")["id"]
    often = post_message(alice, conversation, "A red door and a red door")["id"]
    once = post_message(alice, conversation, "A red door and some more words")["id"]

    results = search(alice, "red door")

    assert [result["message_id"] for result in results] == [often, once, far]
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)


def test_search_returns_equal_matches_newest_first(alice: httpx.Client, conversation: Json) -> None:
    posted = [post_message(alice, conversation, "the same words")["id"] for _ in range(3)]

    assert found(alice, "words") == posted[::-1]


@pytest.mark.parametrize("limit", [1, 2, 3, 50])
def test_search_pages_have_every_result_once(
    alice: httpx.Client, conversation: Json, limit: int
) -> None:
    for number in range(5):
        post_message(alice, conversation, "word " * (1 + number % 2) + "and others")
    all_at_once = found(alice, "word")

    results = read_all(alice, SEARCH, q="word", limit=limit)

    assert [result["message_id"] for result in results] == all_at_once
    assert len(set(all_at_once)) == 5


def test_search_refuses_cursors_of_others(
    alice: httpx.Client, bob: httpx.Client, conversation: Json
) -> None:
    for _ in range(2):
        post_message(alice, conversation, "word")
    cursor = read(alice, SEARCH, q="word", limit=1)["next_cursor"]

    for client, path in ((bob, SEARCH), (alice, "/conversations"), (alice, "/runs")):
        response = client.get(path, params={"q": "word", "cursor": cursor})
        assert refusals(response) == {("query", "/cursor")}


def test_search_has_filters(alice: httpx.Client) -> None:
    one = new_conversation(alice, source="web", agent_id="a")
    other = new_conversation(alice, source="app", agent_id="b")
    first = post_message(alice, one, "word")
    decision = {"selected_tools": ["t"], "selected_agents": ["chosen"]}
    second = post_message(alice, one, "word", role="assistant", routing_decision=decision)
    third = post_message(alice, other, "word")

    def ids(**filters: Any) -> list[str]:
        names = {row["id"]: n for n, row in enumerate((first, second, third), 1)}
        return sorted(str(names[each]) for each in found(alice, "word", **filters))

    assert ids() == ["1", "2", "3"]
    assert ids(conversation_id=one["id"]) == ["1", "2"]
    assert ids(role="assistant") == ["2"]
    assert ids(source="web") == ["1", "2"]
    assert ids(agent_id="b") == ["3"]
    assert ids(agent_id="chosen") == ["1", "2"]
    assert ids(shared=False) == ["1", "2", "3"]
    assert ids(shared=True) == []
    assert ids(created_after=second["created_at"]) == ["2", "3"]
    assert ids(created_before=second["created_at"]) == ["1"]
    assert ids(created_after="2999-12-31T23:59:59.999+14:00") == []
    assert ids(source="web", role="user", agent_id="chosen") == ["1"]
    assert ids(source="app", role="assistant") == []
    assert ids(conversation_id=str(uuid.uuid4())) == []


def test_search_finds_archived_conversations_on_request(
    alice: httpx.Client, conversation: Json
) -> None:
    message = post_message(alice, conversation, "word")["id"]
    open_one = post_message(alice, new_conversation(alice), "word")["id"]

    change(alice, f"/conversations/{conversation['id']}", archived=True)

    assert found(alice, "word") == [open_one]
    assert found(alice, "word", archived="true") == [message]
    assert found(alice, "word", archived="all") == [open_one, message]
    (result,) = search(alice, "word", archived="true")
    assert result["conversation"]["archived"]
    change(alice, f"/conversations/{conversation['id']}", archived=False)
    assert found(alice, "word") == [open_one, message]


def test_search_finds_nothing_of_a_deleted_conversation(
    alice: httpx.Client, conversation: Json, posted: dict[str, str]
) -> None:
    assert found(alice, "lease") == [posted["lease"]]

    assert alice.delete(f"/conversations/{conversation['id']}").status_code == 204

    assert found(alice, "lease") == []


def test_search_finds_the_message_that_ends_a_run(
    alice: httpx.Client, conversation: Json, worker: Worker
) -> None:
    run = new_run(alice, conversation_id=conversation["id"], status="running")
    message = {"role": "assistant", "content": "The final answer"}
    change(alice, f"/runs/{run['id']}", status="succeeded", message=message)
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    body = {"role": "assistant", "content": "A final remark of the worker"}
    path = messages_of(conversation)
    assert worker.client.post(path, json=body, headers=claim.headers).status_code == 201

    assert len(found(alice, "final")) == 2
    assert [result["position"] for result in search(alice, "final answer")] == [1]


def test_search_finds_a_retried_message_once(alice: httpx.Client, conversation: Json) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4())}
    for _ in range(2):
        body = {"role": "user", "content": "word"}
        assert alice.post(messages_of(conversation), json=body, headers=key).status_code == 201

    assert len(found(alice, "word")) == 1


def test_search_does_not_find_what_was_refused(alice: httpx.Client, conversation: Json) -> None:
    body = {"role": "user", "content": "word", "run_id": str(uuid.uuid4())}
    assert alice.post(messages_of(conversation), json=body).status_code == 422

    assert found(alice, "word") == []


def test_search_finds_only_the_users_messages(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, posted: dict[str, str]
) -> None:
    assert found(bob, "lease") == []
    assert found(bob, "lease", conversation_id=conversation["id"]) == []


def test_messages_of_others_change_no_score(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, posted: dict[str, str]
) -> None:
    before = search(alice, "lease or rent or word")

    theirs = new_conversation(bob)
    for _ in range(5):
        post_message(bob, theirs, "lease rent word " * 3)

    assert search(alice, "lease or rent or word") == before


def test_search_reads_a_message_as_plain_text(alice: httpx.Client, conversation: Json) -> None:
    text = '<script>alert("word")</script> & <b>word</b>'
    post_message(alice, conversation, text)

    (result,) = search(alice, "word")

    assert result["snippet"] == text
    assert highlighted(result) == ["word", "word"]


def test_search_finds_messages_of_inactive_branches(
    alice: httpx.Client, conversation: Json
) -> None:
    question = post_message(alice, conversation, "Which lease?")
    former = post_message(alice, conversation, "The first lease")
    newer = post_message(alice, conversation, "The other lease", parent_id=question["id"])
    path = f"/conversations/{conversation['id']}/messages"

    ids = sorted([question["id"], former["id"], newer["id"]])
    assert sorted(found(alice, "lease")) == ids
    assert sorted(each["id"] for each in rows(read(alice, path, branches="all"))) == ids
    assert former["id"] not in [each["id"] for each in rows(read(alice, path))]
