"""Starts servers under test with the real command and a clean environment, and stops them."""

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt
from sqlalchemy import make_url

from tests import distributed, log_watch

SECRET = "a secret that only the tests know, of over 32 bytes"
SECONDS_TO_START = 90
STOP_SECONDS = 60
"""More than the grace time; on a busy machine an interpreter takes many seconds to exit."""
DAY = 86_400
"""How long tokens are valid. Some are made before the first test, and a run may take an hour."""


def sign(user_id: str, *, secret: str = SECRET, seconds: int = DAY, **claims: object) -> str:
    """Return a token for `user_id`; claims that are None are left out."""
    now = int(time.time())
    body: dict[str, object] = {"sub": user_id, "iat": now, "exp": now + seconds} | claims
    token = jwt.encode(
        {name: value for name, value in body.items() if value is not None}, secret, "HS256"
    )
    log_watch.token(token)
    return token


# Each worker of pytest-xdist has its own ports, below those of outgoing connections: otherwise
# another process could take a port before its server listens, and answer the test's requests.
_PORTS_PER_WORKER = 1000
_FIRST_PORT = 20_000 + _PORTS_PER_WORKER * int(
    os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
)
_offsets = itertools.count(random.randrange(_PORTS_PER_WORKER))


def free_port() -> int:
    """Return a port on which nothing listens now, and which was not returned recently."""
    for offset in _offsets:
        port = _FIRST_PORT + offset % _PORTS_PER_WORKER
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: the ports repeat")


@dataclass(frozen=True)
class Server:
    """A running server: its URL, process and log file."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def client(self, user_id: str, **claims: Any) -> httpx.Client:
        """Return a client that acts as `user_id`, with more `claims` in its token."""
        headers = {"Authorization": f"Bearer {sign(user_id, **claims)}"}
        # verify=False: loading certificates for plain HTTP would take longer than most tests.
        hooks = {"request": [log_watch.request]}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=30, verify=False, event_hooks=hooks
        )


def through_pooler(url: str) -> str:
    """Return the URL of the same database behind the pooler of TEST_POOLER_URL.

    Without a pooler, or for another server than that of TEST_DATABASE_URL, return `url` unchanged.
    """
    pooler, behind = (os.environ.get(name) for name in ("TEST_POOLER_URL", "TEST_DATABASE_URL"))
    if pooler is None or behind is None or not url.startswith("postgresql://"):
        return url
    there = make_url(url)
    if there.set(database="") != make_url(behind).set(database=""):
        return url
    return make_url(pooler).set(database=there.database).render_as_string(hide_password=False)


def clean_environment(**settings: str) -> dict[str, str]:
    """Return the environment with `settings` as the only settings of the API.

    If there is a pooler, `database_url` is replaced by the URL behind it.
    """
    if "database_url" in settings:
        settings["database_url"] = through_pooler(settings["database_url"])
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("AGENT_API_", "TEST_"))}
    return kept | {f"AGENT_API_{name.upper()}": value for name, value in settings.items()}


def command(*arguments: str) -> list[str]:
    """Return the command line that runs agent-api with the interpreter of the tests."""
    return [sys.executable, "-m", "agent_api", *arguments]


def agent_api(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command of agent-api to its end, with only these settings."""
    return subprocess.run(
        command(*arguments),
        env=clean_environment(**settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@contextmanager
def start_server(
    database_url: str | None, data_dir: Path, *arguments: str, **settings: str
) -> Iterator[Server]:
    """Start a server and stop it after the block; its log must not contain tokens or content.

    Without `database_url` the server uses the embedded database of `data_dir`. Without `port` it
    listens on a free one.
    """
    port = int(settings.get("port") or free_port())
    base = {"data_dir": str(data_dir), "port": str(port)}
    base["link_rate_limit_per_minute"] = "1000000"  # all clients of the tests have one address
    if not settings.keys() & {"jwt_jwks_url", "jwt_public_key_file"}:
        base["jwt_secret"] = SECRET
    if database_url is not None:
        base["database_url"] = database_url
        distributed.distribute(database_url)
    with _start(["serve", *arguments], port, data_dir, base | settings) as server:
        yield server


@contextmanager
def start_version(
    folder: Path, database_url: str, data_dir: Path, *, ready_path: str
) -> Iterator[Server]:
    """Start a server with the code in `folder`; the block begins when `ready_path` returns 200."""
    port = free_port()
    settings = {"data_dir": str(data_dir), "port": str(port), "jwt_secret": SECRET}
    settings["database_url"] = database_url
    with _start(["serve"], port, data_dir, settings, folder, ready_path=ready_path) as server:
        yield server


@contextmanager
def start_limited_server(
    database_url: str, data_dir: Path, *, descriptors: int
) -> Iterator[Server]:
    """Start a server that may open at most `descriptors` files."""
    port = free_port()
    settings = {"data_dir": str(data_dir), "port": str(port), "jwt_secret": SECRET}
    settings["database_url"] = database_url
    with _start(["serve"], port, data_dir, settings, descriptors=descriptors) as server:
        yield server


@contextmanager
def start_mock(
    log_folder: Path, *arguments: str, folder: Path | None = None, **settings: str
) -> Iterator[Server]:
    """Start the mock and stop it after the block; it uses the code in `folder`, if given."""
    port = free_port()
    base = {"port": str(port)}
    with _start(["mock", *arguments], port, log_folder, base | settings, folder) as server:
        yield server


@contextmanager
def _start(
    arguments: Sequence[str],
    port: int,
    log_folder: Path,
    settings: Mapping[str, str],
    folder: Path | None = None,
    descriptors: int | None = None,
    ready_path: str = "/readyz",
) -> Iterator[Server]:
    limited = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh"] if descriptors else []
    log = log_folder / f"{arguments[0]}-{port}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*limited, *command(*arguments)],
            cwd=folder,
            env=clean_environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    server = Server(f"http://127.0.0.1:{port}", process, log)
    try:
        wait_until_ready(server, ready_path)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(STOP_SECONDS)
        log_watch.check(log.read_text(errors="replace"))


def wait_until_ready(server: Server, path: str = "/readyz") -> None:
    """Wait until `path` returns 200; fail with the log if the server ends or takes too long."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            if httpx.get(f"{server.url}{path}", timeout=5, verify=False).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.05)
    raise AssertionError(f"the server did not start:\n{server.log.read_text()}")
