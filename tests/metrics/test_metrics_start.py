"""Starting a server with metrics, and without them."""

import socket
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.servers import (
    SECRET,
    Server,
    agent_api,
    clean_environment,
    command,
    free_port,
    start_server,
)
from tests.test_config import refusal

pytestmark = pytest.mark.process


def test_occupied_metrics_port_is_reported_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = agent_api(
            "serve",
            "--port",
            str(free_port()),
            data_dir=str(tmp_path / "data"),
            jwt_secret=SECRET,
            log_format="text",
            metrics_port=str(port),
        )

    assert done.returncode == 2
    assert done.stderr == (
        f"agent-api: Cannot serve metrics on 127.0.0.1 port {port}: Address already in use. "
        "Choose another with AGENT_API_METRICS_HOST and AGENT_API_METRICS_PORT.\n"
    )
    assert done.stdout == ""
    assert not (tmp_path / "data" / "postgres").exists()


def test_metrics_folder_of_a_killed_server_is_removed_by_the_next_start(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    unlocked = temporary / "agent-api-metrics-unlocked"
    unlocked.mkdir()

    def start() -> AbstractContextManager[Server]:
        return start_server(database_url, tmp_path, metrics_port=str(free_port()))

    with start():
        of_first = set(temporary.iterdir())
        with start() as second:
            second.process.kill()
            second.process.wait()
        of_second = set(temporary.iterdir()) - of_first
        with start():
            after = set(temporary.iterdir())

    assert len(of_second) == 1
    assert of_first < after
    assert not of_second & after
    assert list(temporary.iterdir()) == [unlocked]


def test_metrics_port_must_differ_from_the_port_of_the_api() -> None:
    assert refusal(port="9000", metrics_port="9000") == (
        "AGENT_API_METRICS_PORT 9000 is the port of the API: choose another"
    )


def test_metrics_and_tracing_are_not_imported_when_off(database_url: str, tmp_path: Path) -> None:
    code = (
        "import sys; from agent_api.app import create_app; from agent_api.settings import Settings;"
        "import agent_api.server.run; create_app(Settings.load());"
        "print([name for name in ('prometheus_client', 'opentelemetry.sdk',"
        " 'agent_api.observability.metrics', 'agent_api.observability.tracing')"
        " if name in sys.modules])"
    )
    said = subprocess.check_output(
        [command()[0], "-c", code],
        env=clean_environment(database_url=database_url, data_dir=str(tmp_path), jwt_secret=SECRET),
        text=True,
    )

    assert said == "[]\n"
