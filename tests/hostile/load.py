"""Clients that write while a server stops, and conditions to wait for."""

import contextlib
import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import psycopg2

from tests.processes import wait_until
from tests.servers import Server
from tests.wire import Answer, Wire, head

REFUSED = (ConnectionRefusedError, ConnectionResetError)
"""How connecting fails; it is reset if the port closes during the handshake."""


def is_refused(server: Server) -> bool:
    """Tell whether the server accepts no connections."""
    try:
        Wire(server).close()
    except REFUSED:
        return True
    return False


def post(user: str, conversation: str, content: str) -> bytes:
    """Return a request that posts a message."""
    body = json.dumps({"role": "user", "content": content}).encode()
    lines = (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return head(f"POST /conversations/{conversation}/messages", *lines, user=user) + body


def send_part(wire: Wire, part: bytes) -> None:
    """Send the beginning of a request, and return when the server has read it.

    It comes in one packet with a whole request, whose response says that both were read.
    """
    wire.send(head("GET /healthz", token=False) + part)
    assert wire.receive().status == 200


def post_once(server: Server, user: str, conversation: str) -> Answer:
    """Post a message on a new connection and return the response."""
    with Wire(server) as wire:
        wire.send(post(user, conversation, "held"))
        return wire.receive("POST")


@contextmanager
def row_locked(database_url: str, conversation: str) -> Iterator[None]:
    """Make writers of this conversation wait until the block ends."""
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        cursor.execute("UPDATE conversations SET title = title WHERE id = %s", [conversation])
        yield


def wait_for_writers(database_url: str, count: int) -> None:
    """Return when `count` statements are waiting for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        other.autocommit = True
        name = other.info.dbname

        def are_waiting() -> bool:
            cursor.execute(query, [name])
            return cursor.fetchone() == (count,)

        wait_until(are_waiting)


def stored(database_url: str, conversation: str) -> int:
    """Return how many messages the conversation has."""
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM messages WHERE conversation_id = %s", [conversation])
        (count,) = cursor.fetchone() or (-1,)
        return int(count)


class Load:
    """Clients that post without a pause and count how each request ended."""

    def __init__(self, server: Server, user: str, conversation: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self._server, self._user, self._conversation = server, user, conversation
        self._lock = threading.Lock()

    def post_on_kept_connections(self) -> None:
        """Post repeatedly, and reconnect when the server announces that it closes."""
        with contextlib.suppress(*REFUSED):
            while True:
                with Wire(self._server) as wire:
                    while not wire.is_closed():
                        if self._post(wire) != "keep-alive":
                            break
                    else:
                        self._count("closed before a request was sent")

    def post_on_new_connections(self) -> None:
        """Open a connection for each request."""
        with contextlib.suppress(*REFUSED):
            while True:
                with Wire(self._server) as wire:
                    self._post(wire)

    def _post(self, wire: Wire) -> str:
        try:
            wire.send(post(self._user, self._conversation, "under load"))
            answer = wire.receive("POST")
        except (OSError, http.client.HTTPException) as error:
            self._count(f"cut: {error!r}")
            return "cut"
        self._count(str(answer.status))
        return answer.headers["connection"] or "keep-alive"

    def _count(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1
