"""A complete chat of an agent-manager, and its data after a restart of server and database."""

import time
from pathlib import Path

import httpx
import pytest

from db import embedded
from tests.calls import (
    Json,
    change,
    create,
    get_conversation,
    ids,
    new_conversation,
    post_message,
    read,
    read_all,
    rows,
)
from tests.servers import start_server

USER = "maria.keller"
SETTINGS = "/users/me/chat-settings"
QUESTION = (
    "Compare the two lease offers and tell me which costs less over five years.\n"
    "The second one is a photo."
)
ATTACHMENTS: list[Json] = [
    {
        "name": "lease-harbour-street.pdf",
        "type": "application/pdf",
        "url": "s3://lease-documents/2026/lease-harbour-street.pdf",
        "size": 482133,
        "knowledge_base_id": "kb-leases",
    },
    {
        "name": "lease-mill-lane.jpg",
        "type": "image/jpeg",
        "url": "blob:https://chat.example.com/4f6c1d0e-7a52-4c0b-9b1e-2f1d5a6e8c31",
        "size": 2210459,
    },
]
FLAT: Json = {
    "selected_tools": ["document_search"],
    "selected_agents": ["document-agent"],
    "confidence": 0.92,
    "reasoning": "Both files are lease offers.",
    "alternatives": ["web-agent"],
    "requires_disambiguation": False,
}
NESTED: Json = {
    "routing_decision": FLAT,
    "execution_plan": [
        {"step": 1, "type": "tool", "name": "document_search", "input": {"query": "rent"}},
        {"step": 2, "type": "agent", "name": "document-agent", "input": None},
    ],
}
AGENTIC: Json = {
    "thoughts": [
        {"type": "plan", "source": "document-agent", "message": "Read both.", "data": None},
        {"type": "result", "source": "calculator", "message": "Done.", "data": {"sum": 189000}},
    ],
    "selected_agents": [{"id": "019bb138-1000-71fb-ba17-0b3339263059", "name": "document-agent"}],
}
TOOL_CALLS: list[Json] = [
    {
        "tool_name": "document_search",
        "success": True,
        "output": {"monthly_rent": 3150},
        "metadata": {"duration_ms": 412},
        "error": None,
    },
    {
        "tool_name": "image_to_text",
        "success": False,
        "output": None,
        "metadata": None,
        "error": "The photo is too dark.",
    },
]


def wait_until_stopped(folder: Path) -> None:
    """Wait until the folder's database server has stopped."""
    deadline = time.monotonic() + 60
    while not embedded.is_stopped(folder):
        assert time.monotonic() < deadline, "the database server did not stop"
        time.sleep(0.05)


@pytest.mark.process
def test_complete_chat_is_unchanged_after_a_restart(data_dir: Path) -> None:
    with start_server(None, data_dir) as server, server.client(USER) as maria:
        conversation = chat_about_leases(maria)
        browse(maria, conversation)
        first_page = read(maria, "/conversations", limit=2)
        before = everything(maria)

    wait_until_stopped(data_dir)

    with start_server(None, data_dir) as server, server.client(USER) as maria:
        assert everything(maria) == before
        continue_chat(maria, conversation, first_page)
        delete(maria, conversation)


def chat_about_leases(maria: httpx.Client) -> Json:
    """Save the settings, open a conversation, ask, and let the agent answer in three steps."""
    saved = maria.put(SETTINGS, json={"enabled_tools": ["document_search"], "temperature": 0.2})
    assert saved.status_code == 200

    conversation = new_conversation(
        maria,
        title="New Conversation",
        source="agent-manager",
        model=None,
        agent_id="document-agent",
        metadata={"team": "facilities"},
    )
    question = post_message(maria, conversation, QUESTION, attachments=ATTACHMENTS, run_id=None)
    run = create(
        maria,
        "/runs",
        agent_id="document-agent",
        conversation_id=conversation["id"],
        input={"message_id": question["id"]},
    )
    change(maria, f"/runs/{run['id']}", status="running")
    for content, more in (
        ("I am reading both offers.", {"routing_decision": FLAT}),
        ("The photo is hard to read.", {"routing_decision": NESTED, "tool_calls": TOOL_CALLS}),
        ("Harbour Street costs less. " * 10, {"routing_decision": AGENTIC}),
    ):
        answer = post_message(
            maria, conversation, content, role="assistant", run_id=run["id"], **more
        )
        assert {name: answer[name] for name in more} == more
    ended = change(maria, f"/runs/{run['id']}", status="succeeded", output={"difference": 11400})

    assert question["attachments"] == ATTACHMENTS
    assert ended["finished_at"] > ended["started_at"] > ended["created_at"]
    return conversation


def browse(maria: httpx.Client, conversation: Json) -> None:
    """Read the lists that a chat client shows, and create two more conversations."""
    (listed,) = read(maria, "/conversations", order_by="updated_at")["conversations"]
    assert listed["title"] == "Compare the two lease offers and tell me which costs less"
    assert listed["message_count"] == 4
    assert listed["last_message"]["content"] == ("Harbour Street costs less. " * 10)[:100]

    path = f"/conversations/{conversation['id']}/messages"
    whole = read(maria, path)["messages"]
    first = read(maria, path, limit=3)
    rest = read(maria, path, limit=3, cursor=first["next_cursor"])
    assert first["messages"] + rest["messages"] == whole
    assert rest["next_cursor"] is None
    assert [message["role"] for message in whole] == ["user", *["assistant"] * 3]

    for title in ("Car park", "Canteen"):
        post_message(maria, new_conversation(maria, title=title), "Hello")
    renamed = change(maria, f"/conversations/{conversation['id']}", title="Lease offers 🏢")
    assert renamed["updated_at"] == listed["updated_at"]


def everything(maria: httpx.Client) -> Json:
    """Return all rows of the user."""
    conversations = read_all(maria, "/conversations")
    return {
        "conversations": conversations,
        "messages": {
            row_id: read_all(maria, f"/conversations/{row_id}/messages")
            for row_id in ids(conversations)
        },
        "runs": read_all(maria, "/runs"),
        "settings": read(maria, SETTINGS),
    }


def continue_chat(maria: httpx.Client, conversation: Json, first_page: Json) -> None:
    """Use an old cursor, post to the old conversation, and change the saved settings."""
    second_page = read(maria, "/conversations", limit=2, cursor=first_page["next_cursor"])
    assert ids(rows(second_page)) == [conversation["id"]]

    path = f"/conversations/{conversation['id']}/messages"
    before = read_all(maria, path)
    message = post_message(maria, conversation, "And over ten years?")
    now = get_conversation(maria, conversation)
    assert read_all(maria, path) == [*before, message]
    assert (now["title"], now["message_count"]) == ("Lease offers 🏢", 5)
    assert read(maria, "/conversations", order_by="updated_at")["conversations"][0] == now

    saved = read(maria, SETTINGS)
    changed = maria.put(SETTINGS, json={"temperature": None, "model": "llama-3.3-70b"}).json()
    assert (saved["temperature"], changed["temperature"]) == (0.2, 0.7)
    assert (changed["id"], changed["enabled_tools"]) == (saved["id"], ["document_search"])


def delete(maria: httpx.Client, conversation: Json) -> None:
    """Delete the conversation and its messages; its run stays."""
    messages = read_all(maria, f"/conversations/{conversation['id']}/messages")

    assert maria.delete(f"/conversations/{conversation['id']}").status_code == 204

    assert maria.get(f"/conversations/{conversation['id']}").status_code == 404
    assert {maria.get(f"/messages/{row_id}").status_code for row_id in ids(messages)} == {404}
    assert read(maria, "/conversations")["total"] == 2
    (run,) = read_all(maria, "/runs")
    assert (run["status"], run["conversation_id"]) == ("succeeded", None)
