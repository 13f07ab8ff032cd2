"""kill -9 of a worker, of all workers, of PostgreSQL and of everything, with 32 writers.

The server has two workers, metrics and the embedded database with its default, durable settings.
Each row that a 201 acknowledged exists exactly once afterwards, and all counts and previews agree
with it.
"""

import logging
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from db import embedded
from tests.processes import is_alive, kill, wait_until
from tests.servers import Server, free_port, start_server
from tests.writers import Writers, assert_nothing_lost_nothing_doubled

logger = logging.getLogger(__name__)
WRITERS = 32
ACKNOWLEDGED = 10_000
KILLS = 4

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.timeout(900)]


class Installation:
    """The server with its embedded database, and all of their processes."""

    def __init__(self, data: Path, stack: ExitStack) -> None:
        self.data = data
        self._stack = stack
        self.start()

    def start(self) -> None:
        self.server: Server = self._stack.enter_context(
            start_server(
                *(None, self.data, "--workers", "2"),
                log_level="warning",
                metrics_port=str(free_port()),
            )
        )

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.server.process.pid).children()
        return [child for child in children if "spawn_main" in _command_line(child)]

    def postmaster(self) -> psutil.Process:
        return postmaster(self.data)

    def everything(self) -> list[psutil.Process]:
        return [
            psutil.Process(self.server.process.pid),
            *self.workers(),
            *database_processes(self.data),
        ]


def postmaster(data: Path) -> psutil.Process:
    lines = (data / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
    return psutil.Process(int(lines[0]))


def database_processes(data: Path) -> list[psutil.Process]:
    """Return PostgreSQL's processes and their supervisors, whose command lines name `data`."""
    named = [process for process in psutil.process_iter() if str(data) in _command_line(process)]
    return [*named, *postmaster(data).children()]


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return ""


@contextmanager
def temporary_data() -> Iterator[Path]:
    """Make a data folder for the block. Its database must have stopped soon afterwards."""
    # The account that runs PostgreSQL for root cannot enter pytest's own temporary folder.
    folder = Path(tempfile.mkdtemp(prefix="agent-api-killed-"))
    folder.chmod(0o711)
    data = folder / "data"
    data.mkdir(mode=0o711)
    try:
        yield data
    finally:
        wait_until(lambda: embedded.is_stopped(data), seconds=40)
        shutil.rmtree(folder)


@pytest.fixture
def installation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    with temporary_data() as data, ExitStack() as stack:
        # A killed server leaves its metrics folder behind, which goes with this folder.
        monkeypatch.setenv("TMPDIR", str(data.parent))
        yield Installation(data, stack)


@pytest.fixture
def writers(installation: Installation) -> Iterator[Writers]:
    writers = Writers(WRITERS, lambda: installation.port)
    writers.start()
    yield writers
    writers.end()


def finish(
    scenario: str, installation: Installation, writers: Writers, healed: list[float]
) -> None:
    """Wait until the writers have written all messages, then check every row."""
    writers.wait_for(ACKNOWLEDGED)
    writers.end()
    # 409: the request with this key, which lost its connection, still runs in PostgreSQL.
    assert set(writers.statuses) <= {0, 201, 409, 503, 504}, writers.statuses
    share = embedded.attach(installation.data)
    try:
        kept = assert_nothing_lost_nothing_doubled(share.url, writers)
    finally:
        share.close()
    logger.info(
        "%s: %d acknowledged, %d kept, statuses %s, healed in %s s, longest silence %.1f s",
        scenario,
        len(writers.acknowledged),
        kept,
        dict(writers.statuses),
        [round(seconds, 1) for seconds in healed],
        writers.longest_silence,
    )


@pytest.mark.smoke
def test_acknowledged_conversation_survives_killing_everything() -> None:
    with temporary_data() as data:
        with start_server(None, data) as server, server.client("maria") as maria:
            acknowledged = maria.post("/conversations", json={}).json()
            kill([*database_processes(data), psutil.Process(server.process.pid)])
        with start_server(None, data) as server, server.client("maria") as maria:
            path = f"/conversations/{acknowledged['id']}"
            assert maria.get(path).json() == acknowledged | {"messages": []}


def test_no_message_is_lost_when_a_worker_is_killed(
    installation: Installation, writers: Writers
) -> None:
    """The other worker goes on, and a new one replaces the killed one."""
    healed = []
    for number in range(KILLS):
        writers.wait_for(ACKNOWLEDGED * (number + 1) // (KILLS + 1))
        doomed, other = installation.workers()
        kill([doomed])
        healed.append(writers.wait_for_the_next())
        wait_until(lambda: len(installation.workers()) == 2, seconds=30)
        assert other.is_running()

    finish("a worker", installation, writers, healed)


def test_no_message_is_lost_when_all_workers_are_killed(
    installation: Installation, writers: Writers
) -> None:
    """The parent process starts new workers."""
    healed = []
    for number in range(KILLS):
        writers.wait_for(ACKNOWLEDGED * (number + 1) // (KILLS + 1))
        kill(installation.workers())
        healed.append(writers.wait_for_the_next())
        wait_until(lambda: len(installation.workers()) == 2, seconds=30)

    finish("all workers", installation, writers, healed)
    assert installation.server.process.poll() is None


def test_no_message_is_lost_when_postgresql_is_killed(
    installation: Installation, writers: Writers
) -> None:
    """Kill a session's process, after which PostgreSQL restarts itself, then the postmaster."""
    pids = {process.pid for process in installation.workers()}
    healed = []
    for number in range(KILLS):
        writers.wait_for(ACKNOWLEDGED * (number + 1) // (KILLS + 1))
        postmaster = installation.postmaster()
        sessions = [p for p in postmaster.children() if "agent_api" in _command_line(p)]
        kill([postmaster] if number % 2 else sessions[:1])
        healed.append(writers.wait_for_the_next())

    finish("PostgreSQL", installation, writers, healed)
    assert {process.pid for process in installation.workers()} == pids, "workers must not restart"
    assert max(healed) < 30


def test_no_message_is_lost_when_everything_is_killed(
    installation: Installation, writers: Writers
) -> None:
    healed = []
    for number in range(KILLS):
        writers.wait_for(ACKNOWLEDGED * (number + 1) // (KILLS + 1))
        kill(installation.everything())
        installation.start()
        healed.append(writers.wait_for_the_next())

    finish("everything", installation, writers, healed)


def test_workers_end_with_the_process_that_started_them(installation: Installation) -> None:
    """Orphaned workers would keep the port, and the next start would fail."""
    workers, port = installation.workers(), installation.port
    kill([psutil.Process(installation.server.process.pid)])

    wait_until(lambda: not any(is_alive(worker) for worker in workers))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    wait_until(lambda: embedded.is_stopped(installation.data))
