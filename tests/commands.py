"""Helpers for tests that run the commands of agent-api."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests import log_watch
from tests.servers import STOP_SECONDS, Server, clean_environment, command, free_port

ROOT = Path(__file__).parents[1]
Result = subprocess.CompletedProcess[str]


def refusal(result: Result, *, code: int = 2) -> str:
    """Return the one-line error message of a command that failed."""
    assert result.returncode == code, result.stderr
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    if line.startswith("{"):  # a server, whose messages are in its log
        reason: str = json.loads(line)["reason"]
        return reason
    assert line.startswith("agent-api: ")
    return line


def agent_api_without(package: str, *arguments: str, **settings: str) -> Result:
    """Run a command of agent-api as if `package`, named as it is imported, was not installed."""
    program = (
        f"import sys; sys.argv = {['agent-api', *arguments]!r}; sys.modules[{package!r}] = None;"
        "from agent_api.__main__ import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def status(url: str) -> int | None:
    try:
        return httpx.get(url, timeout=5).status_code
    except httpx.TransportError:
        return None  # no server listens


@contextmanager
def starting(log_dir: Path, options: list[str], **settings: str) -> Iterator[Server]:
    """Start a server with only the given settings, and stop it after the block."""
    port = free_port()
    log = log_dir / f"serve-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command("serve", "--port", str(port), *options),
            cwd=log_dir,  # what --reload watches
            env=clean_environment(**settings) | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Server(f"http://127.0.0.1:{port}", process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
    log_watch.check(log.read_text())
