"""Clients that write all the while, each on one connection, and note each answer."""

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
"""After an error: a client that asked again at once would only show how fast it is refused."""
LONGEST = 60


@dataclass(frozen=True)
class Answer:
    content: str
    status: int
    begin: float
    end: float


@dataclass
class Writer:
    """Posts messages to a conversation of its own, with a content that nobody else has."""

    server: Server
    token: str
    conversation: Json
    number: int
    refusals: Collection[int]
    answers: list[Answer] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    worker: int = 0
    port: int = 0
    connection: http.client.HTTPConnection = field(
        default_factory=lambda: http.client.HTTPConnection("")
    )

    def connect(self) -> None:
        """Open the connection on which all its messages go."""
        netloc = urlsplit(self.server.url).netloc
        self.connection = http.client.HTTPConnection(netloc, timeout=LONGEST)
        self.connection.connect()
        self.port = self._port()

    def run(self, go_on: Callable[[], bool]) -> None:
        """Write for as long as `go_on`; all but 201 and a well-formed refusal is a fault."""
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
        content = f"{self.number}.{len(self.answers)}"
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        body = json.dumps({"role": "user", "content": content})
        begin = time.monotonic()
        connection.request(
            "POST", f"/conversations/{self.conversation['id']}/messages", body, headers
        )
        response = connection.getresponse()
        answer = response.read()
        self.answers.append(Answer(content, response.status, begin, time.monotonic()))
        if response.status == 201:
            return
        kind, wait = (response.headers.get(name) for name in ("content-type", "retry-after"))
        retryable = (kind, wait) == ("application/problem+json", "1")
        if response.status not in self.refusals or not retryable:
            self.faults.append(f"{response.status} {kind} {wait} {answer.decode()}")
        time.sleep(PAUSE)


def _workers(server: Server) -> list[psutil.Process]:
    """The processes that serve: those that listen, beside their parent."""
    return [
        process
        for process in psutil.Process(server.process.pid).children(recursive=True)
        if any(each.status == psutil.CONN_LISTEN for each in process.net_connections("tcp"))
    ]


def _wait_until_accepted(worker: psutil.Process, ports: set[int]) -> None:
    deadline = time.monotonic() + LONGEST
    while True:
        served = {each.raddr[1:] for each in worker.net_connections("tcp")}
        if {(port,) for port in ports} <= served:
            return
        assert time.monotonic() < deadline, "the worker accepts nothing"
        time.sleep(0.01)


def _connect_to_each(workers: list[psutil.Process], writers: list[Writer]) -> None:
    """Give each worker its share: the kernel would give nearly all to one that idles."""
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
    """Writers of one user, from `with` until its end."""

    def __init__(self, server: Server, count: int, *, refusals: Collection[int] = (503,)) -> None:
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
        """All of them, or those of one worker, in no order."""
        return [
            answer
            for writer in self.writers
            if worker in (None, writer.worker)
            for answer in list(writer.answers)
        ]

    def acknowledged(self) -> int:
        return sum(answer.status == 201 for answer in self.answers())

    def wait_for(self, acknowledged: int, seconds: float = 100) -> None:
        """Return when so many writes are acknowledged."""
        deadline = time.monotonic() + seconds
        while self.acknowledged() < acknowledged:
            assert time.monotonic() < deadline, f"only {self.acknowledged()} in {seconds} s"
            time.sleep(0.05)

    def wait_for_answers(self, count: int, seconds: float = 100) -> None:
        """Return when so many requests have got an answer, whichever."""
        deadline = time.monotonic() + seconds
        while len(self.answers()) < count:
            assert time.monotonic() < deadline, f"only {len(self.answers())} in {seconds} s"
            time.sleep(0.05)

    def faults(self) -> list[str]:
        return [fault for writer in self.writers for fault in writer.faults]

    def longest(self) -> float:
        """The seconds of the slowest answer."""
        return max(answer.end - answer.begin for answer in self.answers())

    def seconds_to_recover(self, since: float) -> dict[int, float]:
        """For each worker, from when on it has refused nothing and accepted again."""
        recovered = {}
        for worker in self.workers:
            answers = self.answers(worker)
            refused = [a.end for a in answers if a.status != 201]
            last = max(refused, default=since)
            first = min(a.end for a in answers if a.status == 201 and a.end > max(last, since))
            recovered[worker] = first - since
        return recovered

    def tell(self, since: float) -> None:
        """Leave the figures in the log, which `pytest --log-cli-level=info` shows."""
        recovered = sorted(round(value, 2) for value in self.seconds_to_recover(since).values())
        accepted, refused = self.acknowledged(), len(self.answers()) - self.acknowledged()
        logger.info(
            "%d acknowledged, %d refused, the slowest took %.2f s; workers recovered after %s s",
            accepted,
            refused,
            self.longest(),
            recovered,
        )

    def assert_kept(self) -> None:
        """Read all back: what was acknowledged is there once, what was not, at most once."""
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
