"""Finding conversations by the agents that routing decisions of their messages name."""

from typing import Any

import httpx
import pytest

from tests.calls import Json, ids, messages_of, new_conversation, post_message, read_all
from tests.sharing.members import share
from tests.workers import Worker, claimed_run

LIST = "/conversations"
DECISIONS: dict[str, Json] = {
    "flat": {"selected_agents": ["wanted", "other"]},
    "nested": {"routing_decision": {"selected_agents": ["wanted"]}},
    "agentic": {"thoughts": [], "selected_agents": ["wanted"]},
    "agentic by id": {"thoughts": [], "selected_agents": [{"id": "wanted", "name": "x"}]},
    "agentic by name": {"thoughts": [], "selected_agents": [{"id": 3, "name": "wanted"}]},
}


@pytest.mark.parametrize("shape", DECISIONS)
def test_list_conversations_finds_agents_of_routing_decisions(
    alice: httpx.Client, bob: httpx.Client, shape: str
) -> None:
    row, _ = new_conversation(alice), new_conversation(alice)
    for content in ("first", "second"):
        post_message(alice, row, content, role="assistant", routing_decision=DECISIONS[shape])

    assert ids(read_all(alice, LIST, agent_id="wanted")) == [row["id"]]
    assert read_all(alice, LIST, agent_id="unwanted") == []
    assert read_all(bob, LIST, agent_id="wanted") == []


@pytest.mark.parametrize("shape", DECISIONS)
def test_list_conversations_does_not_find_agents_of_deleted_messages(
    alice: httpx.Client, bob: httpx.Client, conversation: Json, shape: str
) -> None:
    share(alice, conversation["id"], bob, "viewer")
    kept = {"selected_agents": ["kept"], "routing_decision": "kept"}
    post_message(alice, conversation, "question", role="assistant", routing_decision=kept)
    both = DECISIONS[shape] | {
        "selected_agents": [*DECISIONS[shape].get("selected_agents", ()), "kept"]
    }
    posted = [
        post_message(alice, conversation, content, role="assistant", routing_decision=both)
        for content in ("first", "second")
    ]

    for message, found in zip(posted, ([conversation["id"]], []), strict=True):
        alice.delete(f"/messages/{message['id']}").raise_for_status()
        for client in (alice, bob):
            assert ids(read_all(client, LIST, agent_id="wanted")) == found
            assert ids(read_all(client, LIST, agent_id="kept")) == [conversation["id"]]


def test_list_conversations_finds_agents_that_a_worker_reports(
    alice: httpx.Client, conversation: Json, worker: Worker
) -> None:
    claim = claimed_run(alice, worker, conversation_id=conversation["id"])
    message = {"role": "assistant", "content": "a", "routing_decision": DECISIONS["flat"]}
    for _ in range(2):
        response = worker.client.post(
            messages_of(conversation), json=message, headers=claim.headers
        )
        assert response.status_code == 201, response.text

    assert ids(read_all(alice, LIST, agent_id="other")) == [conversation["id"]]


def test_create_message_ignores_agents_without_a_usable_name(
    alice: httpx.Client, conversation: Json
) -> None:
    decision = {"selected_agents": ["", "x" * 256, "y" * 255], "routing_decision": None}

    post_message(alice, conversation, "a", role="assistant", routing_decision=decision)

    assert ids(read_all(alice, LIST, agent_id="y" * 255)) == [conversation["id"]]


def test_create_message_stores_at_most_1000_agents_of_a_decision(
    alice: httpx.Client, conversation: Json, database: Any
) -> None:
    """As many as the contract lets `selected_agents` have where it names the property."""
    names = [f"{number:x}" for number in range(5000)]
    decision = {"thoughts": [], "routing_decision": {"selected_agents": names}}

    post_message(alice, conversation, "a", role="assistant", routing_decision=decision)

    with database.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM conversation_agents WHERE conversation_id = %s",
            [conversation["id"]],
        )
        assert cursor.fetchone()[0] <= 1000
