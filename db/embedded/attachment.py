"""Takes this process's share in an embedded server, and waits until the server answers."""

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
ANSWER_TIMEOUT_SECONDS = 60.0
WAIT_NOTICE_SECONDS = 2.0
POLL_SECONDS = 0.02
MAX_LAUNCHES = 3


class Attachment:
    """Attaches this process to the server of `data_dir`, and starts the server if necessary."""

    def __init__(
        self, data_dir: Path, create: bool, durable: bool, on_progress: Callable[[str], None]
    ) -> None:
        self.data_dir = data_dir
        self.create = create
        self.folder = data_dir / "postgres"
        self.data = self.folder / "data"
        self.durable = durable
        self.on_progress = on_progress
        self.launches = 0
        self.log_offset = 0  # size of the log before our last launch

    def attach(self) -> tuple[str, int]:
        """Return the URL, and the descriptor that keeps the server running while it is open."""
        if not self.create and not self.data.exists():
            raise self._missing()
        make_folder(self.data_dir)
        make_folder(self.folder)
        for name in (CLIENTS, SUPERVISOR, SERVER):
            os.close(os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        share = os.open(self.folder / CLIENTS, os.O_RDWR | os.O_NOFOLLOW)
        try:
            self._lock_shared(share)
            return self._wait(), share
        except BaseException:
            os.close(share)
            raise

    def _lock_shared(self, share: int) -> None:
        """Keep the server from being stopped; wait if it is stopping at this moment."""
        notice_at = time.monotonic() + WAIT_NOTICE_SECONDS
        while True:
            try:
                fcntl.flock(share, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > notice_at:
                    self.on_progress("Waiting for the database server to finish stopping")
                    notice_at = float("inf")
                time.sleep(POLL_SECONDS)

    def _wait(self) -> str:
        notice_at = time.monotonic() + WAIT_NOTICE_SECONDS
        give_up_at = time.monotonic() + ANSWER_TIMEOUT_SECONDS
        problem = "it is not ready"
        while True:
            self._ensure_supervisor()
            state = server_state(self.data)
            if state == "ready":
                try:
                    return self._connect()
                except (psycopg2.OperationalError, FileNotFoundError) as error:
                    # A crashed server may have left this state behind; the next one is starting.
                    problem = reasons(str(error))[0]
            elif state == "starting":  # recovery after a crash has no time limit
                give_up_at = time.monotonic() + ANSWER_TIMEOUT_SECONDS
            if time.monotonic() > give_up_at:
                raise EmbeddedError(
                    f"The database server of {self.data_dir} does not answer: {problem};"
                    f" end the processes that use it and try again; its log is {self.folder / LOG}"
                )
            if time.monotonic() > notice_at:
                self.on_progress("Waiting for the database server to answer")
                notice_at = float("inf")
            time.sleep(POLL_SECONDS)

    def _ensure_supervisor(self) -> None:
        lock = try_lock(self.folder / SUPERVISOR)
        if lock is None:
            return
        try:
            # The supervisor gave up, or was killed: then launching it again helps.
            if self.launches == MAX_LAUNCHES:
                raise EmbeddedError(f"PostgreSQL did not start: {self._last_log()}")
            log = self.folder / LOG
            self.launches += 1
            self.log_offset = log.stat().st_size if log.exists() else 0
            Launch(self.folder, self.durable, lock, self.on_progress).start()
        finally:
            os.close(lock)  # the supervisor has inherited the lock and keeps it

    def _last_log(self) -> str:
        path = self.folder / LOG
        with path.open("rb") as log:
            log.seek(self.log_offset)
            return f"{reasons(log.read().decode(errors='replace'))[-1]} (its log is {path})"

    def _connect(self) -> str:
        """Check that the server is ours, create our database if necessary, and return its URL."""
        account = choose_account(self.folder)
        sockets = socket_folder(self.folder, account)
        check_private(sockets, account)
        connection = psycopg2.connect(
            host=str(sockets), port=PORT, user="postgres", dbname="postgres", connect_timeout=5
        )
        with closing(connection), connection.cursor() as cursor:
            connection.autocommit = True
            # Held until the connection closes, so that only one process creates the database.
            cursor.execute("select pg_advisory_lock(hashtext(%s))", [DATABASE])
            cursor.execute(
                "select current_setting('data_directory'), current_setting('cluster_name'),"
                " current_setting('fsync'),"
                " exists (select from pg_database where datname = %s)",
                [DATABASE],
            )
            served, cluster, fsync, exists = cursor.fetchone() or ("", "", "", False)
            if not Path(served).samefile(self.data):
                raise EmbeddedError(f"The server of {served} uses {sockets}: stop that server")
            if cluster != CLUSTER:
                raise EmbeddedError(
                    f"A manually started PostgreSQL uses {self.data}: stop that server"
                )
            if self.durable and fsync != "on":
                raise EmbeddedError(
                    f"The running server of {self.data_dir} was started with durable=False:"
                    " end the processes that use it and try again"
                )
            if not exists and not self.create:
                raise self._missing()
            if not exists:
                cursor.execute(f'create database "{DATABASE}"')
        return f"postgresql://postgres@/{DATABASE}?host={quote(str(sockets))}&port={PORT}"

    def _missing(self) -> EmbeddedError:
        return EmbeddedError(
            f"The database in {self.data_dir} does not exist yet: run agent-api migrate or serve"
        )
