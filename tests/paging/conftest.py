"""Creates the rows whose lists the tests read."""

import random
import uuid
from collections.abc import Iterator

import pytest

from tests.calls import ids, new_attachment, new_conversation, new_run, post_message, read
from tests.paging.listings import AGENTS, ROWS, SOURCES, STATUSES, World
from tests.servers import Server


@pytest.fixture(scope="session")
def world(server: Server) -> Iterator[World]:
    """Read-only: tests that write use other users."""
    with server.client(f"world-{uuid.uuid4()}") as client:
        conversations = [
            new_conversation(
                client,
                title=f"conversation {number}",
                source=SOURCES[number % len(SOURCES)],
                agent_id=AGENTS[number % len(AGENTS)],
            )
            for number in range(ROWS)
        ]
        first, *others = conversations
        attachments = [
            new_attachment(client, filename=f"{number}.pdf", added_to_library=number % 3 == 0)
            for number in range(ROWS)
        ]
        messages = [
            post_message(
                client,
                first,
                f"message {number}",
                attachment_ids=[attachments[number]["id"]] if number % 2 else None,
            )
            for number in range(ROWS)
        ]
        random.Random(4).shuffle(others)
        for conversation in others:
            post_message(client, conversation, "Hello")
        runs = [
            new_run(
                client,
                agent_id=AGENTS[number % 2],
                status=STATUSES[number // 2 % 2],
                conversation_id=first["id"] if number % 3 else None,
            )
            for number in range(ROWS)
        ]
        oldest_first = {
            "created_at": ids(conversations),
            "updated_at": ids([first, *others]),
            "messages": ids(messages),
            "runs": ids(runs),
            "chat_attachments": ids(attachments),
        }
        attachments = [read(client, f"/chat-attachments/{each['id']}") for each in attachments]
        yield World(client, first, oldest_first, conversations, runs, attachments)
