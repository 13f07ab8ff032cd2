"""Clients that write or read continuously, each on one connection, and record every response."""

import http.client
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import psutil

from tests.calls import Json, get_conversation, new_conversation, read_all
from tests.servers import Server, sign

logger = logging.getLogger(__name__)

PAUSE = 0.02
"""The pause in seconds after an error, so that a client does not only collect refusals."""
TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    content: str
    status: int
    begin: float
    end: float


@dataclass
class Writer:
    """Posts messages with unique content to its own conversation.

    Every second writer sends an Idempotency-Key, and repeats a refused request until it succeeds.
    """

    server: Server
    token: str
    conversation: Json
    number: int
    refusals: Collection[int]
    written: int = 0
    answers: list[Answer] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    worker: int = 0
    port: int = 0
    connection: http.client.HTTPConnection = field(
        default_factory=lambda: http.client.HTTPConnection("")
    )

    @property
    def keyed(self) -> bool:
        return self.number % 2 == 1

    def connect(self) -> None:
        """Open the connection for all messages."""
        netloc = urlsplit(self.server.url).netloc
        self.connection = http.client.HTTPConnection(netloc, timeout=TIMEOUT_SECONDS)
        self.connection.connect()
        self.port = self._port()

    def run(self, go_on: Callable[[], bool]) -> None:
        """Write while `go_on`; every response except 201 and a correct refusal is a fault."""
        with closing(self.connection) as connection:
            while go_on():
                self._post(connection)
            if self._port() != self.port:
                self.faults.append("the connection was closed")

    def _port(self) -> int:
        opened = self.connection.sock
        port: int = opened.getsockname()[1] if opened else 0
        return port

    def _post(self, connection: http.client.HTTPConnection) -> None:
        content = f"{self.number}.{self.written if self.keyed else len(self.answers)}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if self.keyed:
            headers["Idempotency-Key"] = content
        body = json.dumps({"role": "user", "content": content})
        begin = time.monotonic()
        connection.request(
            "POST", f"/conversations/{self.conversation['id']}/messages", body, headers
        )
        response = connection.getresponse()
        answer = response.read()
        self.answers.append(Answer(content, response.status, begin, time.monotonic()))
        if response.status == 201:
            self.written += 1
            return
        kind, wait = (response.headers.get(name) for name in ("content-type", "retry-after"))
        retryable = (kind, wait) == ("application/problem+json", "1")
        if response.status not in self.refusals or not retryable:
            self.faults.append(f"{response.status} {kind} {wait} {answer.decode()}")
        time.sleep(PAUSE)


def _read_all_the_time(
    server: Server, user: str, faults: list[str], go_on: Callable[[], bool]
) -> None:
    """Read lists while `go_on`; every response except 200 and 503 is a fault."""
    with server.client(user) as client:
        while go_on():
            response = client.get("/conversations")
            if response.status_code not in (200, 503):
                faults.append(f"{response.status_code} {response.text}")
            time.sleep(PAUSE)


def _workers(server: Server) -> list[psutil.Process]:
    """Return the worker processes: the children that listen."""
    return [
        process
        for process in psutil.Process(server.process.pid).children(recursive=True)
        if any(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp"))
    ]


def _wait_until_accepted(worker: psutil.Process, ports: set[int]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        served = {each.raddr[1:] for each in worker.net_connections("tcp")}
        if {(port,) for port in ports} <= served:
            return
        assert time.monotonic() < deadline, "the worker accepts no connections"
        time.sleep(0.01)


def _connect_to_each(workers: list[psutil.Process], writers: list[Writer]) -> None:
    """Distribute the writers evenly; the kernel would give most of them to one idle worker."""
    for number, worker in enumerate(workers):
        others = [each for each in workers if each != worker]
        for other in others:
            other.suspend()
        try:
            mine = writers[number :: len(workers)]
            for writer in mine:
                writer.connect()
                writer.worker = worker.pid
            _wait_until_accepted(worker, {writer.port for writer in mine})
        finally:
            for other in others:
                other.resume()


class Load:
    """The writers and readers of one user, which run inside a `with` block."""

    def __init__(
        self,
        server: Server,
        count: int,
        *,
        refusals: Collection[int] = (503,),
        readers: int = 0,
    ) -> None:
        self._server = server
        self._user = f"load-{time.monotonic_ns()}"
        with self._client() as client:
            self.writers = [
                Writer(server, sign(self._user), new_conversation(client), number, refusals)
                for number in range(count)
            ]
        _connect_to_each(_workers(server), self.writers)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=writer.run, args=(lambda: not self._stop.is_set(),))
            for writer in self.writers
        ]
        self._reading_faults: list[str] = []
        reading = (server, self._user, self._reading_faults, lambda: not self._stop.is_set())
        self._threads += [
            threading.Thread(target=_read_all_the_time, args=reading) for _ in range(readers)
        ]

    def _client(self) -> httpx.Client:
        return self._server.client(self._user)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def workers(self) -> set[int]:
        return {writer.worker for writer in self.writers}

    def answers(self, worker: int | None = None) -> list[Answer]:
        """Return all responses, or those of one worker, in no particular order."""
        return [
            answer
            for writer in self.writers
            if worker in (None, writer.worker)
            for answer in list(writer.answers)
        ]

    def acknowledged(self) -> int:
        return sum(answer.status == 201 for answer in self.answers())

    def wait_for(self, acknowledged: int, seconds: float = 100) -> None:
        """Wait until this many writes are acknowledged."""
        deadline = time.monotonic() + seconds
        while self.acknowledged() < acknowledged:
            assert time.monotonic() < deadline, f"only {self.acknowledged()} in {seconds} s"
            time.sleep(0.05)

    def wait_for_answers(self, count: int, seconds: float = 100) -> None:
        """Wait until this many requests have a response of any status."""
        deadline = time.monotonic() + seconds
        while len(self.answers()) < count:
            assert time.monotonic() < deadline, f"only {len(self.answers())} in {seconds} s"
            time.sleep(0.05)

    def faults(self) -> list[str]:
        writing = [fault for writer in self.writers for fault in writer.faults]
        return writing + self._reading_faults

    def longest(self) -> float:
        """Return the duration of the slowest response in seconds."""
        return max(answer.end - answer.begin for answer in self.answers())

    def seconds_to_recover(self, since: float) -> dict[int, float]:
        """Return for each worker the time of its first success after its last refusal."""
        recovered = {}
        for worker in self.workers:
            answers = self.answers(worker)
            refused = [a.end for a in answers if a.status != 201]
            last = max(refused, default=since)
            first = min(a.end for a in answers if a.status == 201 and a.end > max(last, since))
            recovered[worker] = first - since
        return recovered

    def log_figures(self, since: float) -> None:
        """Log the figures, which `pytest --log-cli-level=info` shows."""
        recovered = sorted(round(value, 2) for value in self.seconds_to_recover(since).values())
        keyed = sum(writer.written for writer in self.writers if writer.keyed)
        accepted, refused = self.acknowledged(), len(self.answers()) - self.acknowledged()
        logger.info(
            "%d acknowledged (%d with keys), %d refused, the slowest took %.2f s;"
            " workers recovered after %s s",
            *(accepted, keyed, refused, self.longest(), recovered),
        )

    def assert_kept(self) -> None:
        """Check that acknowledged messages are stored once, and all others at most once."""
        with self._client() as client:
            for writer in self.writers:
                _assert_kept(client, writer)


def _assert_kept(client: httpx.Client, writer: Writer) -> None:
    found = read_all(client, f"/conversations/{writer.conversation['id']}/messages", limit=500)
    counted = Counter(message["content"] for message in found)
    accepted = {answer.content for answer in writer.answers if answer.status == 201}
    assert accepted <= counted.keys()
    assert counted.keys() <= {answer.content for answer in writer.answers}
    assert set(counted.values()) <= {1}
    now = get_conversation(client, writer.conversation)
    assert now["message_count"] == len(found)
    if found:
        assert now["last_message"]["content"] == found[-1]["content"]
