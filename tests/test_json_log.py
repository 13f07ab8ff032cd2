"""With a JSON log, a server writes nothing but JSON: no banner, traceback or warning as text."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent_api import __version__
from tests.commands import starting
from tests.processes import wait_until
from tests.servers import (
    SECRET,
    agent_api,
    clean_environment,
    free_port,
    start_mock,
    wait_until_ready,
)

pytestmark = pytest.mark.process


def read_json(text: str) -> list[dict[str, Any]]:
    """Assert that each line is a JSON object, and return the objects."""
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"level", "message", "timestamp"} <= line.keys() for line in lines)
    return lines


def run_at_start(folder: Path, code: str) -> dict[str, str]:
    """Return variables that make each Python process run `code` before anything else."""
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder)}


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `agent-api serve`, the installed script, to its end."""
    argv = [str(Path(sys.executable).with_name("agent-api")), "serve"]
    return subprocess.run(
        argv, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_whole_output_of_a_server_is_json_and_says_what_started(
    workers: int, data_dir: Path, tmp_path: Path
) -> None:
    settings = {"data_dir": str(data_dir), "jwt_secret": SECRET, "workers": str(workers)}
    with starting(tmp_path, [], **settings) as server:
        wait_until_ready(server)
        wait_until(lambda: server.log.read_text().count('"started"') == workers)

    lines = read_json(server.log.read_text())
    started = [line for line in lines if line["message"] == "started"]
    assert [(line["version"], line["address"]) for line in started] == [
        (__version__, server.url)
    ] * workers
    assert any(line.get("step", "").startswith("0001 ") for line in lines)  # the migration
    assert [line["message"] for line in lines].count("stopped") == workers


@pytest.mark.parametrize("missing", ["psycopg2", "click"])
def test_import_error_of_a_server_is_json(missing: str, tmp_path: Path) -> None:
    broken = run_at_start(tmp_path, f"import sys; sys.modules[{missing!r}] = None")

    result = run(clean_environment() | broken)

    assert (result.returncode, result.stdout) == (1, "")
    (line,) = read_json(result.stderr)
    assert line["message"] == "uncaught exception"
    assert f"import of {missing} halted" in line["exc_info"]


@pytest.mark.parametrize("missing", ["handlers", "uvicorn"])
def test_import_error_of_a_worker_is_json_and_ends_the_server(
    missing: str, database_url: str, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "if '--multiprocessing-fork' in sys.orig_argv:\n"
        f"    sys.modules[{missing!r}] = None\n"
    )
    settings = {"database_url": database_url, "port": str(free_port()), "workers": "2"}
    environment = clean_environment(data_dir=str(tmp_path), jwt_secret=SECRET, **settings)

    result = run(environment | run_at_start(tmp_path, code))

    assert (result.returncode, result.stdout) == (1, "")
    lines = read_json(result.stderr)
    errors = [line["exc_info"] for line in lines if "exc_info" in line]
    assert errors
    assert all("ModuleNotFoundError" in error and missing in error for error in errors)
    assert lines[-1]["message"] == "no worker can start: see the errors before this line"


def test_warnings_and_uncaught_exceptions_of_threads_are_json(tmp_path: Path) -> None:
    started = tmp_path / "started"
    code = (
        "import pathlib, sys, threading, time, warnings\n"
        "class Broken:\n"
        "    def __del__(self): raise LookupError('in __del__')\n"
        "def trouble():\n"
        f"    while not pathlib.Path({str(started)!r}).exists(): time.sleep(0.05)\n"
        "    warnings.warn('something is old')\n"
        "    Broken()\n"
        "    raise LookupError('in a thread')\n"
        "if 'mock' in sys.orig_argv: threading.Thread(target=trouble, daemon=True).start()\n"
    )
    variables = run_at_start(tmp_path, code)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", variables["PYTHONPATH"])
        with start_mock(tmp_path) as mock:
            started.touch()
            wait_until(lambda: "in a thread" in mock.log.read_text())

    lines = read_json(mock.log.read_text())
    assert any("something is old" in line["message"] for line in lines)
    assert any("in __del__" in line.get("exc_info", "") for line in lines)
    (uncaught,) = (line for line in lines if line["message"] == "uncaught exception")
    assert "in a thread" in uncaught["exc_info"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["serve"], "AGENT_API_PORT must be a whole number from 1 to 65535"),
        (["mock"], "AGENT_API_PORT must be a whole number from 1 to 65535"),
        (["serve", "--prot", "1"], "No such option '--prot'"),
    ],
    ids=["serve", "mock", "option"],
)
def test_refusal_of_a_server_is_json(arguments: list[str], reason: str) -> None:
    result = agent_api(*arguments, port="http")

    assert (result.returncode, result.stdout) == (2, "")
    (line,) = read_json(result.stderr)
    assert line["message"] == "command failed"
    assert reason in line["reason"]


def test_messages_of_other_commands_are_text_unless_json_is_set() -> None:
    plain = agent_api("token", "--user", "alice", port="http")
    chosen = agent_api("token", "--user", "alice", port="http", log_format="json")

    assert plain.stderr.startswith("agent-api: AGENT_API_PORT must be")
    (line,) = read_json(chosen.stderr)
    assert line["reason"].startswith("AGENT_API_PORT must be")
