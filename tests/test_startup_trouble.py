"""A server that cannot start its workers or write its files says why, and does not try forever."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.commands import refusal, starting, status
from tests.hostile.test_hung_workers import worker_ids
from tests.processes import wait_until
from tests.servers import SECRET, Server, clean_environment, command, free_port, wait_until_ready
from tests.test_request_log import whole_lines

pytestmark = pytest.mark.process

MAX_FAILED_STARTS = 5
"""As in agent_api/server/workers.py."""


def kill_new_workers(server: Server, known: set[int]) -> None:
    """Kill workers that are not `known`, like a kernel that is out of memory."""
    with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
        for new in worker_ids(server) - known:
            psutil.Process(new).kill()


def deaths(server: Server) -> list[str]:
    """Return how each worker that died ended."""
    lines = [json.loads(line) for line in whole_lines(server)]
    return [line["reason"] for line in lines if line["message"] == "a worker died"]


@pytest.mark.parametrize(
    "settings", [{"metrics_port": str(free_port())}, {"workers": "2"}], ids=["metrics", "workers"]
)
def test_server_without_a_writable_temporary_folder_says_what_to_do(
    settings: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    """As with a read-only root file system."""
    base = {"database_url": database_url, "data_dir": str(tmp_path), "port": str(free_port())}
    environment = clean_environment(jwt_secret=SECRET, **base, **settings)
    # The coverage of this process could not be written either.
    environment = {name: value for name, value in environment.items() if "COV" not in name}
    result = subprocess.run(
        ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *command("serve")],  # no file can be written
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    line = refusal(result)
    assert line.startswith("Cannot write temporary files: ")
    assert line.endswith("Set TMPDIR to a writable folder")


def test_python_that_cannot_be_executed_is_named(database_url: str, tmp_path: Path) -> None:
    """As in the virtual environment of another user."""
    python = tmp_path / "python"
    python.touch(mode=0o600)
    base = {"database_url": database_url, "data_dir": str(tmp_path), "port": str(free_port())}
    start = (
        "import sys; sys.executable = sys.argv.pop(1)\nfrom agent_api.__main__ import main; main()"
    )
    result = subprocess.run(
        [sys.executable, "-c", start, str(python), "serve", "--workers", "2"],
        env=clean_environment(jwt_secret=SECRET, **base),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert f"Cannot start workers with {python}: Permission denied." in refusal(result)


def test_server_whose_workers_die_before_they_are_ready_exits(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "data_dir": str(tmp_path)}
    with starting(tmp_path, ["--workers", "2"], **settings) as server:
        while server.process.poll() is None:
            kill_new_workers(server, set())

    assert server.process.returncode == 1
    assert len(deaths(server)) <= 2 * MAX_FAILED_STARTS
    assert set(deaths(server)) == {"SIGKILL"}
    assert "no worker can start" in server.log.read_text().splitlines()[-1]


@pytest.mark.slow
def test_server_serves_on_while_replacements_of_a_worker_die(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"database_url": database_url, "data_dir": str(tmp_path)}
    with starting(tmp_path, ["--workers", "2"], **settings) as server:
        wait_until_ready(server)
        wait_until(lambda: server.log.read_text().count('"started"') == 2)
        victim, survivor = worker_ids(server)
        psutil.Process(victim).kill()

        def has_given_up() -> bool:
            kill_new_workers(server, {survivor})
            return len(deaths(server)) > MAX_FAILED_STARTS

        wait_until(has_given_up, 60)
        assert status(f"{server.url}/readyz") == 200
        wait_until(lambda: server.log.read_text().count('"started"') == 3, 60)  # it tries again
