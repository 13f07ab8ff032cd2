"""Supervises one embedded PostgreSQL: starts it, restarts it, and stops it when it is unused.

db.embedded runs this file as a script, isolated and without site-packages, so it is a single file
that imports only the standard library. Three lock files show which processes are alive. Unlike pid
files, locks end with their process, even after kill -9:

    clients.lock     shared by every attached process; exclusive while the server is being stopped
    supervisor.lock  held while a process prepares or supervises the server
    server.lock      inherited by postgres and its children; free when all of them have ended
"""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CLIENTS, SUPERVISOR, SERVER = "clients.lock", "supervisor.lock", "server.lock"
LOG = "server.log"
LOG_LIMIT_BYTES, LOG_KEEP_BYTES = 5_000_000, 1_000_000
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
POLL_SECONDS = 0.2
RETRY_SECONDS = 2.0
FAST_STOP_SECONDS = 30.0
# The C locale keeps messages in English and exists on every machine.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def try_lock(path: Path) -> int | None:
    """Return a descriptor that holds the exclusive lock, or None if it is taken."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def read_lines(path: Path) -> list[str]:
    """Return the lines of a file, or none if the file does not exist."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def write_lines(path: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def server_state(data: Path) -> str:
    """Return the state in the server's pid file ("starting", "ready"), or "" if it has none."""
    lines = read_lines(data / "postmaster.pid")
    return lines[7].strip() if len(lines) > 7 else ""


class Supervisor:
    """Keeps postgres running as long as any process holds a share of clients.lock.

    If the server is killed it starts again, and the pools of the attached processes reconnect.
    """

    def __init__(self, folder: Path, sockets: Path, command: list[str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.sockets = sockets
        self.command = command
        self.child: subprocess.Popen[bytes] | None = None
        self.claimed: dict[Path, list[str]] = {}
        self.was_ready = False
        self.retry_at = 0.0
        self.stop_requested = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def run(self) -> int:
        """Supervise until no client is left. Return the exit code: 1 if the server cannot start."""
        while not self._is_unused():
            if not self._ensure_server():
                return 1
            time.sleep(POLL_SECONDS)
        self._stop()
        return 0

    def _on_sigterm(self, *_: object) -> None:
        self.stop_requested = True

    def _is_unused(self) -> bool:
        if self.stop_requested:
            return True
        try:
            # Keep this lock until the end, so that new clients wait and then start a new server.
            return try_lock(self.folder / CLIENTS) is not None
        except FileNotFoundError:  # the whole folder was removed
            return True

    def _ensure_server(self) -> bool:
        """Start the server unless it is running; return False if it cannot be started."""
        if self.child is not None and self.child.poll() is not None:
            status, self.child = self.child.returncode, None
            if status > 0:  # it failed; a signal would be negative, a normal stop 0
                self._restore_claimed()
                if not self.was_ready:
                    return False
                self.retry_at = time.monotonic() + RETRY_SECONDS
        if time.monotonic() >= self.retry_at:
            lock = try_lock(self.folder / SERVER)
            if lock is not None:
                try:
                    self._start(lock)
                finally:
                    os.close(lock)
        self.was_ready = self.was_ready or server_state(self.data) == "ready"
        self._truncate_log()
        return True

    def _start(self, lock: int) -> None:
        self.claimed.clear()
        self._claim(self.data / "postmaster.pid")
        self._claim(self.sockets / f"{SOCKET}.lock")
        self.child = subprocess.Popen(
            self.command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=(lock,),
            start_new_session=True,
        )

    def _claim(self, path: Path) -> None:
        """Write our pid into a pid file that postgres left behind, so that it ignores the file.

        The old pid may belong to another program by now, which postgres would mistake for a running
        server. Postgres ignores its parent's pid, but still refuses to start if the shared memory
        that the file names is in use. Deleting the file would lose this check.
        """
        lines = read_lines(path)
        if lines and lines[0].strip().isdigit():
            self.claimed[path] = lines
            write_lines(path, [str(os.getpid()), *lines[1:7]])
        else:
            path.unlink(missing_ok=True)  # truncated by a crash; postgres would refuse it

    def _restore_claimed(self) -> None:
        """Undo `_claim` if postgres has not replaced the file: another server may be running."""
        for path, lines in self.claimed.items():
            if read_lines(path)[:1] == [str(os.getpid())]:
                write_lines(path, lines)

    def _truncate_log(self) -> None:
        size = os.fstat(2).st_size
        if size > LOG_LIMIT_BYTES:
            tail = os.pread(2, LOG_KEEP_BYTES, size - LOG_KEEP_BYTES)
            os.ftruncate(2, 0)  # safe, because all processes append to the log
            os.write(2, tail)

    def _stop(self) -> None:
        """Request a fast shutdown, which rolls back transactions; if it hangs, an immediate one."""
        sent: set[int] = set()
        quit_at = time.monotonic() + FAST_STOP_SECONDS
        while not self._has_ended():
            pid = self._find_postmaster()
            kind = signal.SIGINT if time.monotonic() < quit_at else signal.SIGQUIT
            if pid is not None and kind not in sent:
                os.kill(pid, kind)
                sent.add(kind)
            time.sleep(0.02)
        self._restore_claimed()
        if self.sockets.parent != self.folder and self.sockets.is_dir():
            self.sockets.rmdir()

    def _find_postmaster(self) -> int | None:
        if self.child is not None:
            return self.child.pid if self.child.poll() is None else None
        # A supervisor that was killed has started the server. Its pid file is valid only while the
        # server is running, which means that the socket accepts connections.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.sockets / SOCKET))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
        lines = read_lines(self.data / "postmaster.pid")
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    def _has_ended(self) -> bool:
        if self.child is not None and self.child.poll() is None:
            return False
        try:
            lock = try_lock(self.folder / SERVER)
        except FileNotFoundError:  # the whole folder was removed
            return True
        if lock is not None:
            os.close(lock)
        return lock is not None


def main(arguments: list[str]) -> int:
    """Detach from the calling process and supervise. Return the exit code."""
    folder, sockets, uid, gid, *command = arguments
    if os.fork():
        os._exit(0)  # the attaching process waits for this one and keeps no child
    if uid:  # after root has opened this file, which the user may be unable to read
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    while True:
        # This process watches a worker. If the worker is killed, a new one takes over the running
        # server. If this process is killed, the worker continues. If both are killed, the server
        # continues, and the next process that attaches starts a new supervisor for it.
        worker = os.fork()
        if not worker:
            return Supervisor(Path(folder), Path(sockets), command).run()
        _, status = os.waitpid(worker, 0)
        if not os.WIFSIGNALED(status):
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
