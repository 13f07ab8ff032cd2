"""Tests of pages of large rows, which end with the row that reaches 16 MiB."""

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.calls import (
    Json,
    change,
    ids,
    new_attachment,
    new_conversation,
    new_run,
    post_message,
    read,
    rows,
)
from tests.hostile.memory import MIB, peak
from tests.servers import Server

LARGE = "A long lease. " * 70_000
"""Nearly 1 MB, the limit of a request; PostgreSQL compresses it to almost nothing."""

PAGE = 16 * MIB
MANY = 40
"""The number of rows; 18 of them fill a page."""


@pytest.fixture(scope="module")
def user(server: Server) -> Iterator[httpx.Client]:
    with server.client(f"user-{uuid.uuid4()}") as client:
        yield client


@pytest.fixture(scope="module")
def talk(user: httpx.Client) -> tuple[str, list[str]]:
    """Return the path of a conversation with 40 messages with large columns, and their ids."""
    made = new_conversation(user)
    messages = []
    for number in range(MANY):
        bodies: list[Json] = [
            {"content": LARGE},
            {"content": "", "metadata": {"text": LARGE}},
            {"content": "", "tool_calls": [{"tool_name": "search", "output": LARGE}]},
            {"content": "", "parts": [{"type": "data", "numbers": [1234567.5] * 90_000}]},
        ]
        messages.append(post_message(user, made, **bodies[number % 4])["id"])
    return f"/conversations/{made['id']}", messages


def read_pages(client: httpx.Client, path: str, **query: Any) -> list[httpx.Response]:
    """Read all pages of a list."""
    found: list[httpx.Response] = []
    while True:
        found.append(client.get(path, params=query))
        assert found[-1].status_code == 200, found[-1].text[:2000]
        query["cursor"] = found[-1].json()["next_cursor"]
        if query["cursor"] is None:
            return found


def assert_bounded(found: list[httpx.Response]) -> None:
    sizes = [len(page.content) for page in found]
    assert max(sizes) < PAGE + 2 * MIB, sizes
    assert min(sizes[:-1]) > PAGE - 2 * MIB, sizes  # pages end no earlier than necessary


@pytest.mark.slow
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_list_messages_limits_the_size_of_a_page(
    server: Server, user: httpx.Client, talk: tuple[str, list[str]], order: str
) -> None:
    path, made = talk

    with peak(server) as memory:
        found = read_pages(user, f"{path}/messages", limit=500, order=order)

    assert_bounded(found)
    assert memory.grown < 8 * PAGE
    sequence = [message["id"] for page in found for message in page.json()["messages"]]
    assert sequence == (made if order == "asc" else made[::-1])
    assert {page.json()["total"] for page in found} == {MANY}


@pytest.mark.slow
def test_list_messages_continues_by_offset_after_a_short_page(
    user: httpx.Client, talk: tuple[str, list[str]]
) -> None:
    path, made = talk
    seen: list[str] = []

    while len(seen) < MANY:
        came = ids(rows(read(user, f"{path}/messages", limit=500, offset=len(seen))))
        assert came
        seen += came

    assert seen == made


@pytest.mark.slow
def test_get_conversation_limits_the_size_of_its_messages(
    server: Server, user: httpx.Client, talk: tuple[str, list[str]]
) -> None:
    path, made = talk
    found: list[httpx.Response] = []
    seen: list[str] = []

    with peak(server) as memory:
        while len(seen) < MANY:
            query = {"message_limit": 500, "message_offset": len(seen)}
            found.append(user.get(path, params=query))
            came = ids(found[-1].json()["messages"])
            assert came
            seen += came

    assert_bounded(found)
    assert memory.grown < 8 * PAGE
    assert seen == made
    tags = {answer.headers["etag"] for answer in found}
    assert tags == {user.get(path, params={"include_messages": False}).headers["etag"]}


def test_list_conversations_limits_the_size_of_a_page(alice: httpx.Client) -> None:
    made = [new_conversation(alice, metadata={"text": LARGE})["id"] for _ in range(MANY // 2)]

    for order_by in ("created_at", "updated_at"):
        found = read_pages(alice, "/conversations", limit=100, order_by=order_by, order="asc")

        assert_bounded(found)
        assert [row["id"] for page in found for row in page.json()["conversations"]] == made
        assert {page.json()["total"] for page in found} == {len(made)}


@pytest.mark.slow
def test_list_runs_limits_the_size_of_a_page(alice: httpx.Client) -> None:
    made = [new_run(alice, input={"text": LARGE[::2]})["id"] for _ in range(MANY // 2)]
    for run in made:
        change(alice, f"/runs/{run}", output={"text": LARGE})

    found = read_pages(alice, "/runs", limit=100, order="asc")

    assert_bounded(found)
    assert [row["id"] for page in found for row in page.json()["runs"]] == made


def test_list_chat_attachments_limits_the_size_of_a_page(
    server: Server, alice: httpx.Client
) -> None:
    made = [new_attachment(alice, parsed_content=LARGE)["id"] for _ in range(MANY // 2)]

    with peak(server) as memory:
        found = read_pages(alice, "/chat-attachments", limit=100, order="asc")

    assert_bounded(found)
    assert memory.grown < 8 * PAGE
    assert [row["id"] for page in found for row in page.json()["chat_attachments"]] == made


@pytest.mark.slow
def test_list_messages_limits_the_size_of_a_page_of_attachments(
    server: Server, alice: httpx.Client, conversation: Json
) -> None:
    """Each message shows 1.6 MB, which the size of its row does not count."""
    made = []
    for _ in range(24):
        files = ids([new_attachment(alice, file_url="🚀" * 8192) for _ in range(50)])
        made.append(post_message(alice, conversation, "Files", attachment_ids=files)["id"])
    path = f"/conversations/{conversation['id']}"

    with peak(server) as memory:
        found = read_pages(alice, f"{path}/messages", limit=500)
        embedded = alice.get(path, params={"message_limit": 500})

    assert_bounded([embedded, *found])
    assert memory.grown < 8 * PAGE
    assert [row["id"] for page in found for row in page.json()["messages"]] == made


def test_list_messages_returns_the_requested_number_below_the_size_limit(
    alice: httpx.Client,
) -> None:
    made = new_conversation(alice)
    for number in range(12):
        post_message(alice, made, LARGE if number % 4 == 0 else "short")
    path = f"/conversations/{made['id']}/messages"

    page = read(alice, path, limit=11)

    assert len(rows(page)) == 11
    assert len(rows(read(alice, path, limit=11, cursor=page["next_cursor"]))) == 1
    assert read(alice, path)["next_cursor"] is None
    assert len(read(alice, f"/conversations/{made['id']}")["messages"]) == 12


def test_list_messages_returns_a_long_page_with_one_larger_row(alice: httpx.Client) -> None:
    made = new_conversation(alice)
    for number in range(300):
        post_message(alice, made, "x" * 40_000 if number == 150 else "short")
    path = f"/conversations/{made['id']}"

    assert len(rows(read(alice, f"{path}/messages", limit=500))) == 300
    assert len(read(alice, path, message_limit=500)["messages"]) == 300
