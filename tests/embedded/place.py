"""A data folder of a test, the processes that attach to it, and the end of them all."""

import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from db import embedded
from tests.embedded.accounts import Account

# Attaches, says so in one line, and stays until its input ends.
CLIENT = """
import sys
from pathlib import Path
from db.embedded import EmbeddedError, attach

try:
    server = attach(
        Path(sys.argv[1]),
        durable=sys.argv[2] == "durable",
        on_progress=lambda line: print("progress", line, flush=True),
    )
except EmbeddedError as error:
    print("error", error, flush=True)
    sys.exit(1)
print("ready", server.url, flush=True)
sys.stdin.read()
"""


class Client:
    """A process of its own that holds a share of the server, or says why it cannot."""

    def __init__(self, place: "Place", durable: bool, environment: dict[str, str]) -> None:
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [place.account.python, "-c", CLIENT, place.data, "durable" if durable else "unsafe"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **place.account.popen_arguments(environment),  # type: ignore[call-overload]  # as a dict
        )
        self.progress: list[str] = []
        self._answer = ""

    def answer(self) -> str:
        """The URL, or the error's line; what the process wrote to stderr is a failure."""
        assert self.process.stdout is not None
        while not self._answer:
            kind, _, text = self.process.stdout.readline().rstrip("\n").partition(" ")
            if kind == "progress":
                self.progress.append(text)
            elif kind in {"ready", "error"}:
                self._answer = text
            else:
                raise AssertionError(self.process.communicate()[1])
        return self._answer

    def leave(self) -> None:
        _, complaints = self.process.communicate(timeout=10)
        assert complaints == ""

    def kill(self) -> None:
        with self.process:
            self.process.kill()


class Place:
    def __init__(self, base: Path, data: Path, account: Account) -> None:
        self.base = base
        self.data = data
        self.account = account
        self.folder = data / "postgres"
        self.batch = uuid.uuid4().hex
        self.clients: list[Client] = []

    def start(self, *, durable: bool = False, environment: dict[str, str] | None = None) -> Client:
        self.clients.append(Client(self, durable, environment or {}))
        return self.clients[-1]

    def attach(self, *, durable: bool = False) -> Client:
        client = self.start(durable=durable)
        assert client.answer().startswith("postgresql:"), client.answer()
        return client

    def seen_by(self, account: Account, data: Path | None = None) -> "Place":
        """The same place for another account or at another path; it ends with this one."""
        other = Place(self.base, data or self.data, account)
        other.clients = self.clients
        return other

    def run(self, code: str, environment: dict[str, str] | None = None) -> str:
        """What other code prints that is given the data folder and ends well and in silence."""
        ran: subprocess.CompletedProcess[str] = subprocess.run(
            [self.account.python, "-W", "error", "-c", code, self.data],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            **self.account.popen_arguments(environment),  # type: ignore[call-overload]  # as a dict
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    def keep(self, url: str, number: int) -> None:
        query(url, "insert into kept values (%s, %s)", self.batch, number)

    def kept(self, url: str) -> list[int]:
        """The numbers of this test, of which `keep` returned when they were committed."""
        found = query(url, "select number from kept where batch = %s order by 1", self.batch)
        return [row[0] for row in found]

    def processes(self, kind: str) -> list[psutil.Process]:
        """Of kind "supervisor", of kind "postgres" without its children, or of kind "initdb"."""
        program = {"supervisor": "python"}.get(kind, kind)
        return [
            process
            for process in psutil.process_iter()
            if str(self.data) in "\0".join(argv := _command_line(process))
            and Path(argv[0]).name.startswith(program)
            and CLIENT not in argv
        ]

    def kill_all(self, *kinds: str) -> None:
        """Kill -9 in one go, so that nobody has the time to notice another's death."""
        doomed = [process for kind in kinds for process in self.processes(kind)]
        assert doomed
        for process in doomed:
            process.kill()
        wait_until(lambda: not any(is_alive(process) for process in doomed))

    def end(self) -> None:
        for client in self.clients:
            client.kill()
        wait_until(lambda: embedded.is_stopped(self.data), seconds=15)
        assert not self.processes("supervisor")
        assert not self.processes("postgres")


def is_alive(process: psutil.Process) -> bool:
    """Whether it still does anything: nobody may be in a hurry to collect the dead."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() or [""]
    except psutil.Error:  # it has ended, or is another user's
        return [""]


@contextmanager
def new_place(account: Account, name: str = "data", made: Path | None = None) -> Iterator[Place]:
    """A folder that does not exist yet, or one that was made before: moved here and back again."""
    base = Path(tempfile.mkdtemp(prefix="agent-api-embedded-", dir="/tmp"))
    base.chmod(0o711)
    account.own(base)
    place = Place(base, base / name, account)
    try:
        if made is not None:
            place.data.parent.mkdir(parents=True, exist_ok=True)
            made.rename(place.data)
        yield place
    finally:
        try:
            place.end()
        finally:
            if made is not None:
                place.data.rename(made)
            shutil.rmtree(base)


def query(url: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if cursor.description else []


def postmaster(url: str) -> Any:
    """What tells one run of the server from the next."""
    return query(url, "select pg_postmaster_start_time()")[0][0]


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - begin


def answers(url: str) -> bool:
    try:
        return query(url, "select 1") == [(1,)]
    except psycopg2.OperationalError:
        return False
