"""kill -9 under 32 writers: of a worker, of all of them, of PostgreSQL, of everything.

On the embedded database as its users have it, durable, and with two workers. What a 201 has
acknowledged is there afterwards, exactly once, and every count and preview agrees with it.
"""

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from db import embedded
from tests.embedded.place import is_alive, wait_until
from tests.servers import Server, start_server
from tests.writers import Writers, assert_nothing_lost_nothing_doubled

logger = logging.getLogger(__name__)
WRITERS = 32
ACKNOWLEDGED = 10_000
KILLS = 4

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Installation:
    """The server with its embedded database, and all the processes that it is made of."""

    def __init__(self, data: Path, stack: ExitStack) -> None:
        self.data = data
        self._stack = stack
        self.start()

    def start(self) -> None:
        self.server: Server = self._stack.enter_context(
            start_server(None, self.data, "--workers", "2", log_level="warning")
        )

    @property
    def port(self) -> int:
        return int(self.server.url.rpartition(":")[2])

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.server.process.pid).children()
        return [child for child in children if "spawn_main" in _command_line(child)]

    def postmaster(self) -> psutil.Process:
        lines = (self.data / "postgres" / "data" / "postmaster.pid").read_text().splitlines()
        return psutil.Process(int(lines[0]))

    def database_processes(self) -> list[psutil.Process]:
        """Return PostgreSQL's processes and their supervisors."""
        postmaster = self.postmaster()
        return [*postmaster.parents()[:2], postmaster, *postmaster.children()]

    def everything(self) -> list[psutil.Process]:
        return [
            psutil.Process(self.server.process.pid),
            *self.workers(),
            *(
                process
                for process in self.database_processes()
                if process.pid not in (0, 1, os.getpid())
            ),
        ]


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has ended meanwhile
        return ""


@pytest.fixture
def installation() -> Iterator[Installation]:
    # Not in pytest's own folder, which the account that runs PostgreSQL for root cannot enter.
    folder = Path(tempfile.mkdtemp(prefix="agent-api-killed-"))
    folder.chmod(0o711)
    data = folder / "data"
    data.mkdir(mode=0o711)
    try:
        with ExitStack() as stack:
            yield Installation(data, stack)
    finally:
        wait_until(lambda: embedded.is_stopped(data), seconds=40)
        shutil.rmtree(folder)


@pytest.fixture
def writers(installation: Installation) -> Iterator[Writers]:
    writers = Writers(WRITERS, lambda: installation.port)
    writers.start()
    yield writers
    writers.end()


def kill(doomed: Sequence[psutil.Process]) -> None:
    """Kill -9 in one go, so that nobody has the time to notice another's death."""
    assert doomed
    for process in doomed:
        with suppress(psutil.NoSuchProcess):  # one of those before it was its parent
            process.kill()
    wait_until(lambda: not any(is_alive(process) for process in doomed))


def finish(
    scenario: str, installation: Installation, writers: Writers, healed: list[float]
) -> None:
    """Let the writers come to their number, and look at all rows."""
    writers.wait_for(ACKNOWLEDGED)
    writers.end()
    assert set(writers.statuses) <= {0, 201, 503, 504}, writers.statuses
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


def test_a_worker_is_killed(installation: Installation, writers: Writers) -> None:
    """The other one goes on, and a new one takes its place."""
    healed = []
    for number in range(KILLS):
        writers.wait_for(ACKNOWLEDGED * (number + 1) // (KILLS + 1))
        doomed, other = installation.workers()
        kill([doomed])
        healed.append(writers.wait_for_the_next())
        wait_until(lambda: len(installation.workers()) == 2, seconds=30)
        assert other.is_running()

    finish("a worker", installation, writers, healed)


def test_all_workers_are_killed(installation: Installation, writers: Writers) -> None:
    """Nothing of ours has to be started: the process that started them starts new ones."""
    healed = []
    for number in range(KILLS):
        writers.wait_for(ACKNOWLEDGED * (number + 1) // (KILLS + 1))
        kill(installation.workers())
        healed.append(writers.wait_for_the_next())
        wait_until(lambda: len(installation.workers()) == 2, seconds=30)

    finish("all workers", installation, writers, healed)
    assert installation.server.process.poll() is None


def test_postgresql_is_killed(installation: Installation, writers: Writers) -> None:
    """First a session's process, upon which the server restarts itself; then the server."""
    pids = {process.pid for process in installation.workers()}
    healed = []
    for number in range(KILLS):
        writers.wait_for(ACKNOWLEDGED * (number + 1) // (KILLS + 1))
        postmaster = installation.postmaster()
        sessions = [p for p in postmaster.children() if "agent_api" in _command_line(p)]
        kill([postmaster] if number % 2 else sessions[:1])
        healed.append(writers.wait_for_the_next())

    finish("PostgreSQL", installation, writers, healed)
    assert {process.pid for process in installation.workers()} == pids, "none of ours restarted"
    assert max(healed) < 30


def test_everything_is_killed_and_started_again(
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
    """Nobody would start new ones in their place, and the next start would find the port taken."""
    workers, port = installation.workers(), installation.port
    kill([psutil.Process(installation.server.process.pid)])

    wait_until(lambda: not any(is_alive(worker) for worker in workers), seconds=15)

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))
    wait_until(lambda: embedded.is_stopped(installation.data), seconds=15)
