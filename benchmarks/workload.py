"""The five operations that are compared, as the requests that a client sends."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import jwt
import orjson
import psycopg2

SECRET = "a secret that only the benchmark knows, of over 32 bytes"  # noqa: S105 (of a database that is thrown away)
CALLS = 96
HOURS = 6

TITLES = {
    "list_conversations": "List 50 conversations",
    "get_conversation": "Get a conversation with 100 messages",
    "create_message": "Create a message",
    "get_message": "Get a message",
    "get_chat_settings": "Get settings",
}


@dataclass(frozen=True)
class Call:
    """One request of a user."""

    user: str
    path: str
    body: bytes | None = None

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


Workload = dict[str, list[Call]]


def make(url: str) -> Workload:
    """Choose the rows that each operation asks for: all of them fill their page."""
    long = _rows(
        url,
        """SELECT user_id, id FROM conversations WHERE user_id LIKE 'heavy-%%'
        ORDER BY md5(id::text) LIMIT %s""",
    )
    short = _rows(
        url,
        """SELECT user_id, id FROM conversations WHERE user_id LIKE 'user-%%'
        ORDER BY md5(id::text) LIMIT %s""",
    )
    some = _rows(
        url,
        """SELECT user_id, id FROM messages WHERE position = 7 AND user_id LIKE 'heavy-%%'
        ORDER BY md5(id::text) LIMIT %s""",
    )
    bodies = _bodies()
    return {
        "list_conversations": [Call(user, "/conversations?limit=50") for user, _ in long],
        "get_conversation": [Call(user, f"/conversations/{id_}") for user, id_ in long],
        "create_message": [
            Call(user, f"/conversations/{id_}/messages", bodies[n % len(bodies)])
            for n, (user, id_) in enumerate(short)
        ],
        "get_message": [Call(user, f"/messages/{id_}") for user, id_ in some],
        "get_chat_settings": [Call(user, "/users/me/chat-settings") for user, _ in short],
    }


def _rows(url: str, statement: str) -> list[tuple[str, str]]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement, (CALLS,))
        rows: list[tuple[str, str]] = cursor.fetchall()
        return rows


def _bodies() -> Sequence[bytes]:
    """What a user says and what an assistant answers, every fourth time with what it did for it."""
    question = {
        "role": "user",
        "content": "Which of our regions grew fastest last quarter, and why?",
    }
    answer: dict[str, Any] = {
        "role": "assistant",
        "content": "South grew fastest, by 14 %, mostly through renewals in August. " * 6,
    }
    routed = {
        **answer,
        "routing_decision": {
            "selected_tools": ["spreadsheet_query"],
            "selected_agents": ["analyst"],
            "confidence": 0.93,
            "reasoning": "The question is about figures in a sheet.",
            "alternatives": ["document_search"],
            "requires_disambiguation": False,
        },
        "tool_calls": [
            {
                "tool_name": "spreadsheet_query",
                "success": True,
                "output": {"rows": 3, "best": "South"},
                "metadata": {"duration_ms": 412},
            }
        ],
    }
    return [orjson.dumps(body) for body in (question, answer, question, routed)]


def token(user: str) -> str:
    """Return a token that outlives the benchmark."""
    return jwt.encode({"sub": user, "exp": int(time.time()) + HOURS * 3600}, SECRET, "HS256")


def raw_requests(calls: Sequence[Call]) -> list[bytes]:
    """The calls as they go over the wire."""
    requests = []
    for call in calls:
        head = [f"{call.method} {call.path} HTTP/1.1", "Host: 127.0.0.1"]
        head += [f"Authorization: Bearer {token(call.user)}"]
        if call.body is not None:
            head += ["Content-Type: application/json", f"Content-Length: {len(call.body)}"]
        requests.append("\r\n".join([*head, "", ""]).encode() + (call.body or b""))
    return requests
