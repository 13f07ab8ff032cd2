"""Requests that outlast the grace time or a second signal get a 503, and the server exits."""

import signal
import time
import uuid
from pathlib import Path

import psutil
import pytest

from tests.calls import new_conversation
from tests.hostile.load import post, row_locked, send_part, wait_for_writers
from tests.servers import STOP_SECONDS, free_port, start_server
from tests.test_tracing import collecting
from tests.wire import Wire

pytestmark = pytest.mark.process

ONE_AND_MORE = pytest.mark.parametrize("workers", ["1", pytest.param("2", marks=pytest.mark.slow)])


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
            send_part(uploading, request[:-5])
            send_part(starting, request[:20])

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


@ONE_AND_MORE
@pytest.mark.parametrize("sigquit", [signal.SIG_DFL, signal.SIG_IGN], ids=["", "in a script"])
def test_second_signal_stops_the_server_immediately(
    workers: str, sigquit: signal.Handlers, database_url: str, tmp_path: Path
) -> None:
    before = signal.signal(signal.SIGQUIT, sigquit)  # shells ignore it in jobs of a script
    with start_server(database_url, tmp_path, "--workers", workers, grace_seconds="600") as server:
        signal.signal(signal.SIGQUIT, before)
        with Wire(server) as uploading:
            send_part(uploading, post("drain", str(uuid.uuid4()), "never sent whole")[:-5])
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
