"""A test's data folder and the processes that attach to it, which all end with the test."""

import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2

from db import embedded
from tests.embedded.accounts import Account
from tests.processes import kill, wait_until

# Attaches, prints the outcome as one line, and stays attached until its input ends.
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
    """A process that holds a share of the server, or reports why it cannot attach."""

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
        """Return the URL or the error message; output on stderr fails the test."""
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
        _, errors = self.process.communicate(timeout=60)
        assert errors == ""

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
        """Return this place for another user or path; it ends with this one."""
        other = Place(self.base, data or self.data, account)
        other.clients = self.clients
        return other

    def run(self, code: str, environment: dict[str, str] | None = None) -> str:
        """Run other code with the data folder as its argument; return its output."""
        ran: subprocess.CompletedProcess[str] = subprocess.run(
            [self.account.python, "-W", "error", "-c", code, self.data],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            **self.account.popen_arguments(environment),  # type: ignore[call-overload]  # as a dict
        )
        assert (ran.returncode, ran.stderr) == (0, "")
        return ran.stdout

    def keep(self, url: str, number: int) -> None:
        query(url, "insert into kept values (%s, %s)", self.batch, number)

    def kept(self, url: str) -> list[int]:
        """Return the numbers that this test has committed with `keep`."""
        found = query(url, "select number from kept where batch = %s order by 1", self.batch)
        return [row[0] for row in found]

    def processes(self, kind: str) -> list[psutil.Process]:
        """Return the processes "supervisor", "postgres" (without children) or "initdb"."""
        program = {"supervisor": "python"}.get(kind, kind)
        return [
            process
            for process in psutil.process_iter()
            if str(self.data) in "\0".join(argv := _command_line(process))
            and Path(argv[0]).name.startswith(program)
            and CLIENT not in argv
        ]

    def kill_all(self, *kinds: str) -> None:
        """Kill the processes of these kinds at once."""
        kill([process for kind in kinds for process in self.processes(kind)])

    def end(self) -> None:
        for client in self.clients:
            client.kill()
        wait_until(lambda: embedded.is_stopped(self.data))
        assert not self.processes("supervisor")
        assert not self.processes("postgres")


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline() or [""]
    except psutil.Error:  # ended, or another user's
        return [""]


@contextmanager
def new_place(account: Account, name: str = "data", made: Path | None = None) -> Iterator[Place]:
    """Yield a place for a new data folder, or for the used one `made`, which is moved and back."""
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
    """Return the start time, which identifies a run of the server."""
    return query(url, "select pg_postmaster_start_time()")[0][0]


def answers(url: str) -> bool:
    try:
        return query(url, "select 1") == [(1,)]
    except psycopg2.OperationalError:
        return False
