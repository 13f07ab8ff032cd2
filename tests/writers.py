"""Clients that write messages until they are stopped and record which were acknowledged."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2

from tests.servers import sign

CONVERSATIONS = 8
"""Fewer than writers, so that several writers compete for each conversation."""


class Writers:
    """Writers of one user; `acknowledged` maps the content of each message to its id.

    Every second writer sends an Idempotency-Key, and repeats a request until it is acknowledged.
    """

    def __init__(self, count: int, port: Callable[[], int]) -> None:
        self.acknowledged: dict[str, str] = {}
        self.uncertain: set[str] = set()
        """Contents of messages that may have been stored, but at most once."""
        self.statuses: Counter[int] = Counter()
        self.longest_silence = 0.0
        """Seconds between two acknowledgements of any writers."""
        self._port = port
        self._token = sign("writer")
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._conversations: list[str] = []
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(count)]

    def start(self) -> None:
        with closing(self._connect()) as connection:
            for _ in range(CONVERSATIONS):
                status, body = self._post(connection, "/conversations", {})
                assert status == 201, body
                self._conversations.append(body["id"])
        self._last = time.monotonic()
        for thread in self._threads:
            thread.start()

    def wait_for(self, acknowledged: int, *, seconds: float = 300) -> float:
        """Wait until so many writes are acknowledged in all; return the seconds waited."""
        started = time.monotonic()
        while len(self.acknowledged) < acknowledged:
            assert time.monotonic() < started + seconds, (len(self.acknowledged), self.statuses)
            time.sleep(0.01)
        return time.monotonic() - started

    def wait_for_the_next(self) -> float:
        """Wait until a write sent after now is acknowledged; return the seconds waited."""
        # Each writer may have one earlier request whose response is still to come.
        return self.wait_for(len(self.acknowledged) + len(self._threads) + 1)

    def end(self) -> None:
        self._ended.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port(), timeout=30)

    def _post(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        body: dict[str, str],
        **more_headers: str,
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        headers |= more_headers
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def _write(self, writer: int) -> None:
        path = f"/conversations/{self._conversations[writer % CONVERSATIONS]}/messages"
        connection = self._connect()
        keyed = writer % 2 == 1
        number = 1
        while not self._ended.is_set():
            content = f"{writer}-{number} " + "and so on " * 12  # longer than a preview
            message = {"role": "user", "content": content}
            key = {"Idempotency-Key": f"{writer}-{number}"} if keyed else {}
            try:
                status, body = self._post(connection, path, message, **key)
            except (OSError, http.client.HTTPException, ValueError):
                # The connection was lost, or no server is running.
                self._note(content, 0, "")
                connection.close()
                connection = self._connect()
                time.sleep(0.1)
                number += not keyed
                continue
            self._note(content, status, body.get("id", ""))
            number += status == 201 or not keyed
            if status != 201:
                time.sleep(0.02)
        connection.close()

    def _note(self, content: str, status: int, message_id: str) -> None:
        with self._lock:
            self.statuses[status] += 1
            if status == 201:
                self.acknowledged[content] = message_id
                now = time.monotonic()
                self.longest_silence = max(self.longest_silence, now - self._last)
                self._last = now
            else:
                self.uncertain.add(content)


WRONG_CONVERSATIONS = """
    SELECT c.id
    FROM conversations c
    LEFT JOIN LATERAL (
        SELECT count(*) AS messages, count(DISTINCT position) AS positions, max(position) AS last
        FROM messages WHERE conversation_id = c.id
    ) AS counted ON true
    LEFT JOIN messages m ON m.conversation_id = c.id AND m.position = counted.last
    WHERE c.message_count <> counted.messages
       OR counted.positions <> counted.messages
       OR c.last_position <> coalesce(counted.last, 0)
       OR c.last_message_role IS DISTINCT FROM m.role
       OR c.last_message_content IS DISTINCT FROM left(m.content, 100)
       OR c.last_message_at IS DISTINCT FROM m.created_at
"""


def assert_nothing_lost_nothing_doubled(url: str, writers: Writers) -> int:
    """Compare the acknowledged messages with the database; return the number of messages."""
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT content, id::text FROM messages")
            kept = cursor.fetchall()
            cursor.execute(WRONG_CONVERSATIONS)
            wrong = cursor.fetchall()
            cursor.execute("SELECT count(*) FROM conversations WHERE message_count > 0")
            used = cursor.fetchone()
    finally:
        connection.close()
    found = dict(kept)
    assert len(found) == len(kept), "a message was stored twice"
    lost = [content for content in writers.acknowledged if content not in found]
    assert not lost, f"{len(lost)} of {len(writers.acknowledged)} acknowledged messages are lost"
    assert all(found[content] == row_id for content, row_id in writers.acknowledged.items())
    assert found.keys() <= writers.acknowledged.keys() | writers.uncertain
    assert not wrong, "counts, positions or previews are wrong"
    assert used == (CONVERSATIONS,)
    return len(found)
