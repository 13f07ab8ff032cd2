"""A server that is asked to stop: what is in flight is answered whole, and nothing new is taken."""

import contextlib
import http.client
import json
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import httpx
import psutil
import psycopg2
import pytest

from tests.calls import new_conversation
from tests.servers import Server, free_port, start_mock, start_server
from tests.test_tracing import collecting
from tests.wire import Answer, Wire, head

HELD_SECONDS = 2
STOP_SECONDS = 60
"""Bounds a hang; on a busy machine an interpreter alone takes many seconds to end."""
ONE_AND_MORE = pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
STOPPING = [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGHUP]


def post(user: str, conversation: str, content: str) -> bytes:
    """Return a request that posts a message."""
    body = json.dumps({"role": "user", "content": content}).encode()
    lines = (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return head(f"POST /conversations/{conversation}/messages", *lines, user=user) + body


@contextmanager
def row_locked(database_url: str, conversation: str) -> Iterator[None]:
    """Let writers of this conversation wait until the block ends."""
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT FROM conversations WHERE id = %s FOR UPDATE", [conversation])
        yield


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


REFUSED = (ConnectionRefusedError, ConnectionResetError)
"""How connecting ends: the latter where the door closes between the two sides' first packets."""


def is_refused(server: Server) -> bool:
    try:
        Wire(server).close()
    except REFUSED:
        return True
    return False


def wait_for_writers(database_url: str, count: int) -> None:
    """Return when `count` statements wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = %s"
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        other.autocommit = True
        name = other.info.dbname

        def has_come() -> bool:
            cursor.execute(query, [name])
            return cursor.fetchone() == (count,)

        wait_until(has_come)


class Load:
    """Clients that post without a pause, and note how each request ended."""

    def __init__(self, server: Server, user: str, conversation: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self._server, self._user, self._conversation = server, user, conversation
        self._lock = threading.Lock()

    def on_one_connection(self) -> None:
        """Post over and over, and connect anew where the server says that it closes."""
        with contextlib.suppress(*REFUSED):
            while True:
                with Wire(self._server) as wire:
                    while not wire.is_closed():
                        if self._post(wire) != "keep-alive":
                            break
                    else:
                        self._note("closed before a request was sent")

    def on_new_connections(self) -> None:
        """Connect for each request."""
        with contextlib.suppress(*REFUSED):
            while True:
                with Wire(self._server) as wire:
                    self._post(wire)

    def _post(self, wire: Wire) -> str:
        try:
            wire.send(post(self._user, self._conversation, "under load"))
            answer = wire.receive("POST")
        except (OSError, http.client.HTTPException) as error:
            self._note(f"cut: {error!r}")
            return "cut"
        self._note(str(answer.status))
        return answer.headers["connection"] or "keep-alive"

    def _note(self, outcome: str) -> None:
        with self._lock:
            self.outcomes[outcome] += 1


@ONE_AND_MORE
def test_sigterm_under_load_cuts_no_request_off(
    workers: str, database_url: str, tmp_path: Path
) -> None:
    user = f"drain-{uuid.uuid4()}"
    with (
        start_server(database_url, tmp_path, "--workers", workers) as server,
        server.client(user) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        busy, held = new_conversation(client)["id"], new_conversation(client)["id"]
        load = Load(server, user, busy)
        with row_locked(database_url, held):
            slow = [threads.submit(_post_once, server, user, held) for _ in range(4)]
            wait_for_writers(database_url, 4)
            running = [threads.submit(load.on_one_connection) for _ in range(6)]
            running += [threads.submit(load.on_new_connections) for _ in range(4)]
            wait_until(lambda: load.outcomes["201"] > 100)

            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(server))
            time.sleep(HELD_SECONDS)

            assert server.process.poll() is None, "it did not wait for what was in flight"
        answers = [future.result() for future in slow]
        for future in running:
            future.result()
        assert server.process.wait(STOP_SECONDS) == 0

    assert [answer.status for answer in answers] == [201] * 4
    assert [answer.headers["connection"] for answer in answers] == ["close"] * 4
    assert load.outcomes.keys() <= {"201", "closed before a request was sent"}, load.outcomes
    assert stored(database_url, busy) == load.outcomes["201"]
    assert stored(database_url, held) == 4
    assert "Traceback" not in server.log.read_text()


def _post_once(server: Server, user: str, conversation: str) -> Answer:
    with Wire(server) as wire:
        wire.send(post(user, conversation, "held"))
        return wire.receive("POST")


def stored(database_url: str, conversation: str) -> int:
    with closing(psycopg2.connect(database_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM messages WHERE conversation_id = %s", [conversation])
        (count,) = cursor.fetchone() or (-1,)
        return int(count)


@pytest.fixture
def sighup() -> Iterator[Callable[[signal.Handlers], object]]:
    """Set how servers started by the test treat SIGHUP; the tests may run under nohup."""
    before = signal.getsignal(signal.SIGHUP)
    yield partial(signal.signal, signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


@ONE_AND_MORE
@pytest.mark.parametrize("number", STOPPING, ids=["SIGTERM", "SIGINT", "SIGHUP"])
def test_idle_connections_hold_no_stopping_server_up(
    number: signal.Signals,
    workers: str,
    database_url: str,
    tmp_path: Path,
    sighup: Callable[[signal.Handlers], object],
) -> None:
    sighup(signal.SIG_DFL)
    with start_server(database_url, tmp_path, "--workers", workers, grace_seconds="600") as server:
        with Wire(server) as used, Wire(server) as silent:
            used.send(head("GET /healthz", token=False))
            assert used.receive().status == 200
            parent = psutil.Process(server.process.pid)
            family = [parent, *parent.children(recursive=True)]

            server.process.send_signal(number)

            assert server.process.wait(STOP_SECONDS) == 0
            assert used.is_closed()
            assert silent.is_closed()
        assert psutil.wait_procs(family, timeout=STOP_SECONDS)[1] == []


@ONE_AND_MORE
@pytest.mark.process
def test_sighup_that_was_ignored_at_the_start_stays_ignored(
    workers: str,
    database_url: str,
    tmp_path: Path,
    sighup: Callable[[signal.Handlers], object],
) -> None:
    sighup(signal.SIG_IGN)
    with start_server(database_url, tmp_path, "--workers", workers) as server:
        parent = psutil.Process(server.process.pid)
        family = [parent, *parent.children(recursive=True)]
        for process in family:  # as the kernel does when the terminal closes
            process.send_signal(signal.SIGHUP)
        time.sleep(1)

        assert httpx.get(f"{server.url}/healthz", verify=False).status_code == 200
        assert [parent, *parent.children(recursive=True)] == family


def test_a_request_that_is_on_its_way_when_the_server_stops_is_answered(
    database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path) as server, server.client("drain") as client:
        conversation = new_conversation(client)["id"]
        request = post("drain", conversation, "in two parts")
        middle = len(request) - 5
        with Wire(server) as body_on_its_way, Wire(server) as head_on_its_way:
            body_on_its_way.send(request[:middle])
            head_on_its_way.send(request[:20])
            time.sleep(0.3)

            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(server))
            time.sleep(1)
            body_on_its_way.send(request[middle:])
            head_on_its_way.send(request[20:])
            answers = [wire.receive("POST") for wire in (body_on_its_way, head_on_its_way)]

        assert [answer.status for answer in answers] == [201, 201]
        assert [answer.headers["connection"] for answer in answers] == ["close", "close"]
        assert server.process.wait(STOP_SECONDS) == 0


def test_a_head_that_began_with_the_request_before_it_is_waited_for(
    database_url: str, tmp_path: Path
) -> None:
    request = head("GET /healthz", token=False)
    with start_server(database_url, tmp_path) as server, Wire(server) as wire:
        wire.send(request + request[:20])
        assert wire.receive().status == 200

        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(server))
        time.sleep(1)
        wire.send(request[20:])

        answer = wire.receive()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert server.process.wait(STOP_SECONDS) == 0


@ONE_AND_MORE
def test_what_is_unfinished_when_the_grace_ends_is_a_503(
    workers: str, database_url: str, tmp_path: Path
) -> None:
    user = f"drain-{uuid.uuid4()}"
    settings = {"grace_seconds": "1", "statement_timeout_ms": "600000"}
    with (
        start_server(database_url, tmp_path, "--workers", workers, **settings) as server,
        server.client(user) as client,
    ):
        conversation = new_conversation(client)["id"]
        request = post(user, conversation, "too late")
        with (
            row_locked(database_url, conversation),
            Wire(server) as waiting,
            Wire(server) as uploading,
            Wire(server) as starting,
        ):
            waiting.send(request)
            wait_for_writers(database_url, 1)
            uploading.send(request[:-5])
            starting.send(request[:20])
            time.sleep(0.3)

            server.process.send_signal(signal.SIGTERM)

            for wire in (waiting, uploading, starting):
                answer = wire.receive("POST")
                problem = answer.problem(503)
                assert problem["type"] == "/problems/unavailable"
                assert answer.headers["retry-after"]
                assert answer.headers["connection"] == "close"
            assert server.process.wait(STOP_SECONDS) == 0, "a statement that hangs held it up"
    assert "Traceback" not in server.log.read_text()


UNWANTED = head("POST /conversations", b"Content-Length: 10", token=False)


def test_who_was_answered_while_sending_gets_no_second_answer_when_the_grace_ends(
    database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path, grace_seconds="1") as server, Wire(server) as wire:
        wire.send(UNWANTED)
        wire.receive("POST").problem(401)

        server.process.send_signal(signal.SIGTERM)

        assert wire.receive_raw(1000) == b""
        assert server.process.wait(STOP_SECONDS) == 0


@pytest.mark.parametrize("rest", [b"67890", b"6"], ids=["sent", "not sent"])
def test_the_rest_of_an_unwanted_body_does_not_hold_a_stopping_server_up(
    rest: bytes, database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path, grace_seconds="600") as server, Wire(server) as wire:
        wire.send(UNWANTED + b"12345")
        wire.receive("POST").problem(401)

        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(server))
        wire.send(rest)

        assert wire.receive_raw(1000) == b""
        assert server.process.wait(STOP_SECONDS) == 0


@ONE_AND_MORE
def test_a_second_signal_ends_it_at_once(workers: str, database_url: str, tmp_path: Path) -> None:
    with start_server(database_url, tmp_path, "--workers", workers, grace_seconds="600") as server:
        with Wire(server) as uploading:
            uploading.send(post("drain", str(uuid.uuid4()), "never sent whole")[:-5])
            time.sleep(0.3)
            parent = psutil.Process(server.process.pid)
            family = [parent, *parent.children(recursive=True)]

            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGTERM)  # as `timeout` does: this is no second one
            time.sleep(2)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)

            uploading.receive("POST").problem(503)
            assert server.process.wait(STOP_SECONDS) == 0
        assert psutil.wait_procs(family, timeout=STOP_SECONDS)[1] == []


def test_a_forced_end_sends_its_spans_and_leaves_no_folder(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not end as others do, since a thread waits for the database."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "600000")
    user = f"drain-{uuid.uuid4()}"
    settings = {"grace_seconds": "1", "statement_timeout_ms": "600000", "tracing": "otlp"}
    settings["metrics_port"] = str(free_port())
    with collecting() as (url, collector):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with start_server(database_url, tmp_path, **settings) as server:
            with server.client(user) as client:
                conversation = new_conversation(client)["id"]
            assert [path.name[:18] for path in folder.iterdir()] == ["agent-api-metrics-"]
            with row_locked(database_url, conversation), Wire(server) as waiting:
                waiting.send(post(user, conversation, "too late"))
                wait_for_writers(database_url, 1)

                server.process.send_signal(signal.SIGTERM)

                waiting.receive("POST").problem(503)
                assert server.process.wait(STOP_SECONDS) == 0

    assert list(folder.iterdir()) == []
    assert "POST /conversations" in {span.name for span in collector.spans}


@pytest.mark.slow
def test_workers_that_get_the_signal_of_their_group_too_finish_what_they_have(
    database_url: str, tmp_path: Path
) -> None:
    user = f"drain-{uuid.uuid4()}"
    with (
        start_server(database_url, tmp_path, "--workers", "2") as server,
        server.client(user) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        conversation = new_conversation(client)["id"]
        with row_locked(database_url, conversation):
            slow = threads.submit(_post_once, server, user, conversation)
            wait_for_writers(database_url, 1)
            parent = psutil.Process(server.process.pid)

            for process in [*parent.children(recursive=True), parent]:  # as Ctrl-C and systemd do
                process.send_signal(signal.SIGINT)
            time.sleep(HELD_SECONDS)

        assert slow.result().status == 201
        assert server.process.wait(STOP_SECONDS) == 0


def test_the_mock_stops_too(tmp_path: Path) -> None:
    with start_mock(tmp_path) as server:
        assert httpx.get(f"{server.url}/healthz", verify=False).status_code == 200
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(STOP_SECONDS) == 0
