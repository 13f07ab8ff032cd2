"""PostgreSQL servers on local ports, which tests can kill, freeze and promote."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg2

from db.embedded.folders import Account, choose_account
from db.embedded.install import find_binaries, make_data, reachable_binaries
from db.embedded.supervisor import ENVIRONMENT
from tests.servers import free_port

SECONDS_TO_START = 60


class Postgres:
    """One server with its own data, which a test starts and stops."""

    def __init__(
        self, program: Path, data: Path, account: Account, settings: Sequence[str]
    ) -> None:
        self.program = program
        self.data = data
        self.account = account
        self.settings = settings
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The superuser's URL of the database `postgres`."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def touch(self, name: str) -> None:
        """Create an empty file in the data folder."""
        path = self.data / name
        path.touch()
        if self.account.switch:
            os.chown(path, self.account.uid, self.account.gid)

    def start(self) -> None:
        """Start the server without waiting; see `wait`."""
        command = [str(self.program), "-D", str(self.data), f"--port={self.port}"]
        command += ["--listen_addresses=127.0.0.1", "--unix_socket_directories="]
        with self.data.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                command + [f"--{setting}" for setting in self.settings],
                cwd="/",
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=self.account.uid if self.account.switch else None,
                group=self.account.gid if self.account.switch else None,
                extra_groups=[] if self.account.switch else None,
            )

    def wait(self, question: str = "SELECT true") -> float:
        """Wait until the query `question` returns true, and return the time."""
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline:
            try:
                if self.ask(question):
                    return time.monotonic()
            except psycopg2.OperationalError:
                pass  # not ready yet
            time.sleep(0.02)
        raise AssertionError(self.data.with_suffix(".log").read_text())

    def ask(self, question: str) -> object:
        """Execute a statement and return its first value."""
        with closing(psycopg2.connect(self.url, connect_timeout=5)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(question)
                (value,) = (cursor.fetchone() if cursor.description else None) or (None,)
                return value

    def send(self, number: signal.Signals) -> None:
        """Signal the postmaster: SIGINT is a fast, SIGQUIT an immediate shutdown."""
        assert self.process is not None
        self.process.send_signal(number)

    def send_all(self, number: signal.Signals) -> None:
        """Signal all processes at once, so that none can react to another's end."""
        for process in self._family():
            with suppress(psutil.NoSuchProcess):  # ended together with the postmaster
                process.send_signal(number)

    def wait_for_end(self) -> None:
        """Wait until all processes have ended; their shared memory would prevent a restart."""
        assert self.process is not None
        self.process.wait(SECONDS_TO_START)
        deadline = time.monotonic() + SECONDS_TO_START
        while self._left_over():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self.process = None

    def end(self) -> None:
        """Kill all remaining processes."""
        if self.process is not None and self.process.poll() is None:
            self.send_all(signal.SIGKILL)
            self.wait_for_end()

    def _family(self) -> list[psutil.Process]:
        assert self.process is not None
        postmaster = psutil.Process(self.process.pid)
        return [postmaster, *postmaster.children(recursive=True)]

    def _left_over(self) -> bool:
        """Return whether a process is running in the data folder."""
        for process in psutil.process_iter():
            try:
                if process.name() == "postgres" and process.cwd() == str(self.data):
                    return True
            except psutil.Error:  # ended, or another user's
                continue
        return False


@contextmanager
def new_servers(*settings: Sequence[str]) -> Iterator[list[Postgres]]:
    """Yield a server for each of `settings`, not started and with copies of the same empty data.

    Because of the copies, one server can be another's standby.
    """
    folder = Path(tempfile.mkdtemp(prefix="agent-api-failover-"))
    folder.chmod(0o711)
    nothing = os.open(os.devnull, os.O_RDONLY)
    account = choose_account(folder)
    install = reachable_binaries(find_binaries(folder / "data"), folder, account, nothing, print)
    # PostgreSQL's user must own the folder, because initdb renames files in it.
    if account.switch:
        os.chown(folder, account.uid, account.gid)
    make_data(install, folder, account, durable=False, lock=nothing)
    os.close(nothing)
    servers = []
    try:
        for number, own in enumerate(settings):
            data = folder / f"data-{number}"
            shutil.copytree(folder / "data", data)
            if account.switch:
                for path in (data, *data.rglob("*")):
                    os.chown(path, account.uid, account.gid, follow_symlinks=False)
            servers.append(Postgres(install / "bin" / "postgres", data, account, own))
        yield servers
    finally:
        for server in servers:
            server.end()
        shutil.rmtree(folder)
