"""Answers a claimed run with the words of the user's last message."""

import re
import time
import uuid
from threading import Event
from typing import Any

from agent_api.worker.connection import Connection

HEARTBEAT_SECONDS = 1
"""Heartbeats report a cancellation, so an answer stops this soon."""
WORD_SECONDS = 0.08
_WORD = re.compile(r"\S{1,1000}\s{0,1000}|\s{1,1000}")
"""A word with the space after it. An event holds at most 64 KiB, so longer ones are divided."""

Json = dict[str, Any]


class Answer:
    """Answers one run. Raises RequestRefused if the worker has lost the run."""

    def __init__(self, connection: Connection, run: Json, lease: str, stop: Event) -> None:
        self._connection = connection
        self._run = run
        self._input: Json = run["input"] or {}
        self._lease = lease
        self._stop = stop
        self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS

    def give(self) -> str:
        """Send the answer word by word, end the run, and return its status.

        If the worker has to stop, it ends the run at once, with the whole text as the message.
        """
        text = self._question()
        if text is None:
            return self._end("failed", error="The conversation has no user message to echo.")
        said = ""
        for word in _WORD.findall(text):
            if self._stop.wait(WORD_SECONDS):
                break
            if self._is_cancelled():
                return self._end("cancelled", answer=said)
            self._append(word)
            said += word
        return self._end("succeeded", answer=text)

    def _question(self) -> str | None:
        """Return the message that the input names, or else the last one of the user."""
        conversation_id = self._run["conversation_id"]
        if conversation_id is None:
            return None
        query = {"order": "desc", "limit": 100, "branches": "all"}
        page = self._send("GET", f"/conversations/{conversation_id}/messages", params=query)
        named = [m for m in page["messages"] if m["id"] == self._input.get("message_id")]
        last = [m for m in page["messages"] if m["role"] == "user" and m["active"]]
        return next((m["content"] for m in named + last), None)

    def _is_cancelled(self) -> bool:
        """Send a heartbeat if it is time for one, and tell whether the run is to be cancelled."""
        if time.monotonic() < self._next_heartbeat:
            return False
        self._next_heartbeat = time.monotonic() + HEARTBEAT_SECONDS
        heartbeat = self._send("POST", f"/runs/{self._run['id']}/heartbeat")
        return heartbeat["cancel_requested_at"] is not None

    def _append(self, word: str) -> None:
        """Append an event, once even if the request is repeated."""
        event = {"type": "text.delta", "data": {"text": word}, "transient": True}
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        path = f"/runs/{self._run['id']}/events"
        self._send("POST", path, headers=headers, json={"events": [event]})

    def _end(self, status: str, *, answer: str = "", error: str | None = None) -> str:
        """End the run and store the answer, in one request."""
        body: Json = {"status": status, "error": error}
        if answer:
            body["message"] = {"role": "assistant", "content": answer}
            # The answer that this one is another version of, when a user asks for it again.
            body["message"]["sibling_of"] = self._input.get("sibling_of")
        self._send("PATCH", f"/runs/{self._run['id']}", json=body)
        return status

    def _send(self, method: str, path: str, headers: Json | None = None, **more: Any) -> Json:
        headers = {"Run-Lease": self._lease, **(headers or {})}
        response: Json = self._connection.request(method, path, headers=headers, **more).json()
        return response
