"""Graceful shutdown: requests in progress are answered, and new connections are refused.

The basic case is in test_smoke.py.
"""

import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from tests.calls import new_conversation
from tests.hostile.load import (
    Load,
    is_refused,
    post,
    post_once,
    row_locked,
    stored,
    wait_for_writers,
    wait_until,
)
from tests.servers import free_port, start_mock, start_server
from tests.test_tracing import collecting
from tests.wire import Wire, head

pytestmark = pytest.mark.process

HELD_SECONDS = 2
STOP_SECONDS = 60
"""Limits a hang; on a busy machine an interpreter takes many seconds to exit."""
ONE_AND_MORE = pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
STOPPING = [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGHUP]


@ONE_AND_MORE
def test_sigterm_under_load_aborts_no_request(
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
            slow = [threads.submit(post_once, server, user, held) for _ in range(4)]
            wait_for_writers(database_url, 4)
            running = [threads.submit(load.post_on_kept_connections) for _ in range(6)]
            running += [threads.submit(load.post_on_new_connections) for _ in range(4)]
            wait_until(lambda: load.outcomes["201"] > 100)

            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_refused(server))
            time.sleep(HELD_SECONDS)

            assert server.process.poll() is None, "the server did not wait for requests in progress"
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


@pytest.fixture
def sighup() -> Iterator[Callable[[signal.Handlers], object]]:
    """Set how servers started by the test treat SIGHUP; the tests may run under nohup."""
    before = signal.getsignal(signal.SIGHUP)
    yield partial(signal.signal, signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


@ONE_AND_MORE
@pytest.mark.parametrize("number", STOPPING, ids=["SIGTERM", "SIGINT", "SIGHUP"])
def test_idle_connections_do_not_delay_shutdown(
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


def test_partly_received_pipelined_request_is_answered(database_url: str, tmp_path: Path) -> None:
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
def test_unfinished_requests_are_a_503_after_the_grace_time(
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
            assert server.process.wait(STOP_SECONDS) == 0, (
                "a hanging statement delayed the shutdown"
            )
    assert "Traceback" not in server.log.read_text()


REFUSED = head("POST /conversations", b"Content-Length: 10", token=False)


def test_client_gets_no_second_response_after_the_grace_time(
    database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path, grace_seconds="1") as server, Wire(server) as wire:
        wire.send(REFUSED)
        wire.receive("POST").problem(401)

        server.process.send_signal(signal.SIGTERM)

        assert wire.receive_raw(1000) == b""
        assert server.process.wait(STOP_SECONDS) == 0


@pytest.mark.parametrize("rest", [b"67890", b"6"], ids=["completed", "not completed"])
def test_rest_of_a_refused_body_does_not_delay_shutdown(
    rest: bytes, database_url: str, tmp_path: Path
) -> None:
    with start_server(database_url, tmp_path, grace_seconds="600") as server, Wire(server) as wire:
        wire.send(REFUSED + b"12345")
        wire.receive("POST").problem(401)

        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_refused(server))
        wire.send(rest)

        assert wire.receive_raw(1000) == b""
        assert server.process.wait(STOP_SECONDS) == 0


@ONE_AND_MORE
@pytest.mark.parametrize("sigquit", [signal.SIG_DFL, signal.SIG_IGN], ids=["", "in a script"])
def test_second_signal_stops_the_server_immediately(
    workers: str, sigquit: signal.Handlers, database_url: str, tmp_path: Path
) -> None:
    before = signal.signal(signal.SIGQUIT, sigquit)  # shells ignore it in jobs of a script
    with start_server(database_url, tmp_path, "--workers", workers, grace_seconds="600") as server:
        signal.signal(signal.SIGQUIT, before)
        with Wire(server) as uploading:
            uploading.send(post("drain", str(uuid.uuid4()), "never sent whole")[:-5])
            time.sleep(0.3)
            parent = psutil.Process(server.process.pid)
            family = [parent, *parent.children(recursive=True)]

            server.process.send_signal(signal.SIGTERM)
            server.process.send_signal(signal.SIGTERM)  # as `timeout` does; it counts as one
            time.sleep(2)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)

            uploading.receive("POST").problem(503)
            assert server.process.wait(STOP_SECONDS) == 0
        assert psutil.wait_procs(family, timeout=STOP_SECONDS)[1] == []


def test_forced_exit_sends_spans_and_removes_its_folder(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread waits for the database, so the interpreter cannot exit normally."""
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
def test_workers_that_get_the_signal_too_finish_their_requests(
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
            slow = threads.submit(post_once, server, user, conversation)
            wait_for_writers(database_url, 1)
            parent = psutil.Process(server.process.pid)

            for process in [*parent.children(recursive=True), parent]:  # like Ctrl-C and systemd
                process.send_signal(signal.SIGINT)
            time.sleep(HELD_SECONDS)

        assert slow.result().status == 201
        assert server.process.wait(STOP_SECONDS) == 0


def test_mock_stops_on_sigterm(tmp_path: Path) -> None:
    with start_mock(tmp_path) as server:
        assert httpx.get(f"{server.url}/healthz", verify=False).status_code == 200
        server.process.send_signal(signal.SIGTERM)

        assert server.process.wait(STOP_SECONDS) == 0
