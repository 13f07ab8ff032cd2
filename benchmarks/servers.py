"""The servers that are compared: started as their users would, and the CPU that they take."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.workload import SECRET, token

OURS = "agent-api"
PEERS = {
    "floor": "the floor",
    "fastapi_async": "FastAPI async",
    "fastapi_sync": "FastAPI sync",
    "stock_connexion": "stock Connexion",
}
SECONDS_TO_START = 60
SECONDS_TO_REST = 10

Cpu = dict[int, float]


class NotStarted(Exception):
    """A server ended, or took too long; the message has its log."""


@dataclass(frozen=True)
class Server:
    """A running server: its name in the report, its port, and its process."""

    name: str
    port: int
    process: psutil.Popen

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def start_all(database_url: str, folder: Path, pool_size: int) -> Iterator[list[Server]]:
    """Start ours and the peers, each with one worker and the same pool; end them afterwards."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_start_ours(database_url, folder, pool_size))]
        for module, name in PEERS.items():
            peer = _start_peer(module, name, database_url, folder, pool_size)
            servers.append(stack.enter_context(peer))
        for server in servers:
            wait_until_ready(server, _log(folder, server.name))
        yield servers


def _start_ours(database_url: str, folder: Path, pool_size: int) -> AbstractContextManager[Server]:
    port = free_port()
    settings = {
        "AGENT_API_DATABASE_URL": database_url,
        "AGENT_API_DATA_DIR": str(folder),
        "AGENT_API_PORT": str(port),
        "AGENT_API_JWT_SECRET": SECRET,
        "AGENT_API_POOL_SIZE": str(pool_size),
        # Its line for each request is an access log, which is off for all.
        "AGENT_API_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "agent_api", "serve"]
    return running(OURS, command, settings, port, folder)


def _start_peer(
    module: str, name: str, database_url: str, folder: Path, pool_size: int
) -> AbstractContextManager[Server]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.peers", module, "--port", str(port)]
    command += ["--database-url", database_url, "--secret", SECRET, "--pool-size", str(pool_size)]
    return running(name, command, {}, port, folder)


@contextmanager
def running(
    name: str, command: Sequence[str], settings: dict[str, str], port: int, folder: Path
) -> Iterator[Server]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AGENT_API_")}
    with _log(folder, name).open("wb") as output:
        process = psutil.Popen(
            command,
            env=kept | settings,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield Server(name, port, process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)


def _log(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"


def wait_until_ready(server: Server, log: Path) -> None:
    headers = {"Authorization": f"Bearer {token('nobody')}"}
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            url = f"{server.url}/users/me/chat-settings"
            if httpx.get(url, headers=headers, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass  # it does not listen yet
        time.sleep(0.1)
    raise NotStarted(f"{server.name} did not start:\n{log.read_text()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def cpu(process: psutil.Process) -> Cpu:
    """The seconds of user and system time of each process of a tree."""
    times: Cpu = {}
    for one in (process, *process.children(recursive=True)):
        try:
            spent = one.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it ended in between
        times[one.pid] = spent.user + spent.system
    return times


def spent(before: Cpu, after: Cpu) -> float:
    """The seconds between two looks at a tree, but for processes that ended in between."""
    return sum(seconds - before.get(pid, 0.0) for pid, seconds in after.items())


def wait_until_at_rest(process: psutil.Process) -> Cpu:
    """Return the tree's CPU once it has stopped growing: when what was under way is answered."""
    deadline = time.monotonic() + SECONDS_TO_REST
    before = cpu(process)
    while time.monotonic() < deadline:
        time.sleep(0.05)
        after = cpu(process)
        if after == before:
            break
        before = after
    return before
