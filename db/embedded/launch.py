"""Launches an embedded server: prepares its folders and settings, and starts its supervisor."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from db.embedded import supervisor
from db.embedded.folders import (
    USE_OWN_SERVER,
    choose_account,
    make_private,
    refuse_closed_folders,
    socket_folder,
)
from db.embedded.install import find_binaries, has_data, make_data, reachable_binaries
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
    # For a small machine: no I/O worker processes and no parallel plans for short queries.
    "shared_buffers": "128MB",
    "io_method": "sync",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    # At logout systemd removes a user's POSIX shared memory, even while the server uses it.
    "dynamic_shared_memory_type": "mmap",
    # The log contains no user data: no statements, and no error messages or details, which quote
    # values.
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "log_checkpoints": "off",
    "log_statement": "none",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class Launch:
    """Starts the supervisor, which inherits the caller's descriptor of supervisor.lock."""

    def __init__(
        self, folder: Path, durable: bool, lock: int, on_progress: Callable[[str], None]
    ) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.durable = durable
        self.lock = lock
        self.on_progress = on_progress

    def start(self) -> None:
        """Create the missing folders and data, and start the supervisor.

        Raises EmbeddedError and OSError.
        """
        account = choose_account(self.folder)
        refuse_closed_folders(self.folder, account)
        wheel = find_binaries(self.data)
        install = reachable_binaries(wheel, self.folder, account, self.lock, self.on_progress)
        if not has_data(self.data):
            self.on_progress(f"Creating a new database in {self.folder}")
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
            settings |= NOT_DURABLE
        pairs = [f"--{name}={value}" for name, value in settings.items()]
        return [str(install / "bin" / "postgres"), "-D", str(self.data), *pairs]

    def _run(self, arguments: list[str]) -> None:
        # Isolated and without site-packages, the supervisor is small and starts quickly.
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
                f"{sys.executable} cannot run the database's supervisor (status"
                f" {started.returncode}): see {self.folder / LOG}, or {USE_OWN_SERVER}"
            )


def _needed_by_python() -> dict[str, str]:
    """Return the variables that the dynamic linker may need to find Python's library."""
    names = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {name: os.environ[name] for name in names if name in os.environ}  # noqa: TID251 (no settings of ours)
