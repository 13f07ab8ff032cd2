"""Owns the start of an embedded server: what must stand before it, its settings, its supervisor."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from db.embedded import supervisor
from db.embedded.folders import (
    ELSEWHERE,
    choose_account,
    make_private,
    refuse_closed_folders,
    socket_folder,
)
from db.embedded.install import find_binaries, is_made, make_data, reachable_binaries
from db.embedded.supervisor import CLIENTS, ENVIRONMENT, LOG, PORT, SERVER, SUPERVISOR
from db.errors import EmbeddedError

CLUSTER = "agent_api"
SETTINGS = {
    "cluster_name": CLUSTER,
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "max_connections": "200",
    # A small machine: no helper processes for reading, no parallel plans for short queries.
    "shared_buffers": "128MB",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # systemd removes a user's POSIX shared memory at logout, under a server that goes on.
    "dynamic_shared_memory_type": "mmap",
    # The log says what the server does and never what is in the database: no statements, and of
    # errors neither the message, in which a wrong value stands, nor the details.
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "log_statement": "none",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Launch:
    """To be used by the holder of supervisor.lock, which passes to the supervisor."""

    def __init__(self, folder: Path, durable: bool, lock: int, tell: Callable[[str], None]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.durable = durable
        self.lock = lock
        self.tell = tell

    def start(self) -> None:
        account = choose_account(self.folder)
        refuse_closed_folders(self.folder, account)
        wheel = find_binaries(self.data)
        install = reachable_binaries(wheel, self.folder, account, self.lock, self.tell)
        if not is_made(self.data):
            self.tell(f"Making a new database in {self.folder}")
            make_data(install, self.folder, account, durable=self.durable, lock=self.lock)
        sockets = socket_folder(self.folder, account)
        make_private(sockets, account)
        user = ["", ""]
        if account.switch:
            user = [str(account.uid), str(account.gid)]
            for name in (CLIENTS, SUPERVISOR, SERVER):
                os.chown(self.folder / name, account.uid, account.gid, follow_symlinks=False)
        self._run([str(self.folder), str(sockets), *user, *self._command(install, sockets)])

    def _command(self, install: Path, sockets: Path) -> list[str]:
        settings = SETTINGS | {"unix_socket_directories": f'"{sockets}"'}
        if not self.durable:
            settings |= UNSAFE
        pairs = [f"--{name}={value}" for name, value in settings.items()]
        return [str(install / "bin" / "postgres"), "-D", str(self.data), *pairs]

    def _run(self, arguments: list[str]) -> None:
        # Isolated and without site-packages: a supervisor of few megabytes, started quickly.
        script = [sys.executable, "-I", "-S", supervisor.__file__]
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        log = os.open(self.folder / LOG, flags, 0o600)
        try:
            started = subprocess.run(
                [*script, *arguments],
                check=False,
                cwd="/",
                env=ENVIRONMENT | _needed_by_python(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=(self.lock,),
                start_new_session=True,
                umask=0o077,
            )
        finally:
            os.close(log)
        if started.returncode:
            raise EmbeddedError(
                f"{sys.executable} could not run the database's supervisor (status"
                f" {started.returncode}): see {self.folder / LOG}, or {ELSEWHERE}"
            )


def _needed_by_python() -> dict[str, str]:
    """Where the dynamic linker finds this interpreter's library, if it was told where."""
    names = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in names if name in os.environ}  # noqa: TID251 (no settings of ours)
