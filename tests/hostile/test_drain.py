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

from agent_api.middleware.turns import AT_ONCE
from tests.calls import new_conversation
from tests.hostile.load import Load, is_refused, post_once, row_locked, stored, wait_for_writers
from tests.processes import wait_until
from tests.servers import STOP_SECONDS, start_server
from tests.wire import Wire, head

pytestmark = pytest.mark.process

HELD_SECONDS = 2
HOLDING = {"statement_timeout_ms": "60000"}
"""A setting with which writers wait longer than a row is locked."""
ONE_AND_MORE = pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])
STOPPING = [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGHUP]


@ONE_AND_MORE
def test_sigterm_under_load_aborts_no_request(
    workers: str, database_url: str, tmp_path: Path
) -> None:
    user = f"drain-{uuid.uuid4()}"
    with (
        start_server(database_url, tmp_path, "--workers", workers, **HOLDING) as server,
        server.client(user) as client,
        ThreadPoolExecutor(16) as threads,
    ):
        busy, held = new_conversation(client)["id"], new_conversation(client)["id"]
        load = Load(server, user, busy)
        with row_locked(database_url, held):
            slow = [threads.submit(post_once, server, user, held) for _ in range(AT_ONCE)]
            wait_for_writers(database_url, AT_ONCE)
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

    assert [answer.status for answer in answers] == [201] * AT_ONCE
    assert [answer.headers["connection"] for answer in answers] == ["close"] * AT_ONCE
    assert load.outcomes.keys() <= {"201", "closed before a request was sent"}, load.outcomes
    assert stored(database_url, busy) == load.outcomes["201"]
    assert stored(database_url, held) == AT_ONCE
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


@pytest.mark.slow
def test_workers_that_get_the_signal_too_finish_their_requests(
    database_url: str, tmp_path: Path
) -> None:
    user = f"drain-{uuid.uuid4()}"
    with (
        start_server(database_url, tmp_path, "--workers", "2", **HOLDING) as server,
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
