"""Owns one process's share in an embedded server: takes it, and waits for the server to answer."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg2

from db.embedded.folders import check_private, choose_account, make_folder, socket_folder
from db.embedded.install import reasons
from db.embedded.launch import CLUSTER, Launch
from db.embedded.supervisor import CLIENTS, LOG, PORT, SERVER, SUPERVISOR, server_state, try_lock
from db.errors import EmbeddedError

DATABASE = "agent_api"
SECONDS_WITHOUT_ANSWER = 60.0
SECONDS_BEFORE_TELLING = 2.0
PAUSE = 0.02
LAUNCHES = 3


class Attachment:
    def __init__(self, data_dir: Path, durable: bool, tell: Callable[[str], None]) -> None:
        self.data_dir = data_dir
        self.folder = data_dir / "postgres"
        self.data = self.folder / "data"
        self.durable = durable
        self.tell = tell
        self.launches = 0
        self.log_before = 0  # how long the log was at our last launch

    def make(self) -> tuple[str, int]:
        """The URL, and the descriptor that keeps the server running while it is open."""
        make_folder(self.data_dir)
        make_folder(self.folder)
        for name in (CLIENTS, SUPERVISOR, SERVER):
            os.close(os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        share = os.open(self.folder / CLIENTS, os.O_RDWR | os.O_NOFOLLOW)
        try:
            self._take(share)
            return self._wait(), share
        except BaseException:
            os.close(share)
            raise

    def _take(self, share: int) -> None:
        """From here on nobody stops the server; a stop that has begun is waited for."""
        tell_at = time.monotonic() + SECONDS_BEFORE_TELLING
        while True:
            try:
                fcntl.flock(share, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > tell_at:
                    self.tell("Waiting for the database server to finish stopping")
                    tell_at = float("inf")
                time.sleep(PAUSE)

    def _wait(self) -> str:
        tell_at = time.monotonic() + SECONDS_BEFORE_TELLING
        give_up_at = time.monotonic() + SECONDS_WITHOUT_ANSWER
        problem = "it is not ready"
        while True:
            self._ensure_supervisor()
            state = server_state(self.data)
            if state == "ready":
                try:
                    return self._ask()
                except (psycopg2.OperationalError, FileNotFoundError) as error:
                    # The state can be a crashed server's, whose successor is being prepared.
                    problem = reasons(str(error))[0]
            elif state == "starting":  # after a crash this takes as long as it takes
                give_up_at = time.monotonic() + SECONDS_WITHOUT_ANSWER
            if time.monotonic() > give_up_at:
                raise EmbeddedError(
                    f"The database server of {self.data_dir} does not answer: {problem};"
                    f" end the processes that use it and try again; its log is {self.folder / LOG}"
                )
            if time.monotonic() > tell_at:
                self.tell("Waiting for the database server to answer")
                tell_at = float("inf")
            time.sleep(PAUSE)

    def _ensure_supervisor(self) -> None:
        lock = try_lock(self.folder / SUPERVISOR)
        if lock is None:
            return
        try:
            # A supervisor that is gone has given up, or was killed, which must not be our failure.
            if self.launches == LAUNCHES:
                raise EmbeddedError(f"PostgreSQL did not start: {self._last_log()}")
            log = self.folder / LOG
            self.launches += 1
            self.log_before = log.stat().st_size if log.exists() else 0
            Launch(self.folder, self.durable, lock, self.tell).start()
        finally:
            os.close(lock)  # the supervisor has inherited it, and holds it for its life

    def _last_log(self) -> str:
        path = self.folder / LOG
        with path.open("rb") as log:
            log.seek(self.log_before)
            return f"{reasons(log.read().decode(errors='replace'))[-1]} (its log is {path})"

    def _ask(self) -> str:
        """Make sure that the answering server is the right one and has our database; its URL."""
        account = choose_account(self.folder)
        sockets = socket_folder(self.folder, account)
        check_private(sockets, account)
        connection = psycopg2.connect(
            host=str(sockets), port=PORT, user="postgres", dbname="postgres", connect_timeout=5
        )
        with closing(connection), connection.cursor() as cursor:
            connection.autocommit = True
            # Held until the connection closes: of two processes one creates the database.
            cursor.execute("select pg_advisory_lock(hashtext(%s))", [DATABASE])
            cursor.execute(
                "select current_setting('data_directory'), current_setting('cluster_name'),"
                " current_setting('fsync'),"
                " exists (select from pg_database where datname = %s)",
                [DATABASE],
            )
            served, cluster, fsync, exists = cursor.fetchone() or ("", "", "", False)
            if not Path(served).samefile(self.data):
                raise EmbeddedError(f"{sockets} is in use by the server of {served}: stop that one")
            if cluster != CLUSTER:
                raise EmbeddedError(
                    f"A PostgreSQL that was started by hand runs on {self.data}: stop that one"
                )
            if self.durable and fsync != "on":
                raise EmbeddedError(
                    f"The running server of {self.data_dir} was started with durable=False, as"
                    " tests do: end the processes that use it and try again"
                )
            if not exists:
                cursor.execute(f'create database "{DATABASE}"')
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(sockets))}&port={PORT}"
