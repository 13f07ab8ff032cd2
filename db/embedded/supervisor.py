"""Owns the life of one embedded PostgreSQL: starts it, restarts it, stops it when nobody is left.

db.embedded runs this file as a script, isolated and without site-packages, so it knows only the
standard library. Three lock files in the folder say who lives; locks end with their holder, even
by kill -9, which no pid file can promise:

    clients.lock     shared by every attached process; exclusive while the server is being stopped
    supervisor.lock  held by whoever prepares or supervises the server, inherited from db.embedded
    server.lock      inherited by postgres and its children: free means that none of them is left
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
LOG_LIMIT, LOG_KEPT = 5_000_000, 1_000_000
PORT = 5432
SOCKET = f".s.PGSQL.{PORT}"
POLL = 0.2
RETRY = 2.0
FAST_STOP_LIMIT = 30.0
# The C locale keeps messages in English and needs no locale to be generated on the machine.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def try_lock(path: Path) -> int | None:
    """The descriptor that holds the exclusive lock, or None where another holds one."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def write_lines(path: Path, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def server_state(data: Path) -> str:
    """What the server says of itself ("starting", "ready"), or "" where it says nothing (yet)."""
    lines = read_lines(data / "postmaster.pid")
    return lines[7].strip() if len(lines) > 7 else ""


class Supervisor:
    """Keeps one postgres running for as long as any process holds a share of clients.lock.

    A server that is killed is started again, so that the pools of who is attached reconnect.
    """

    def __init__(self, folder: Path, sockets: Path, command: list[str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.sockets = sockets
        self.command = command
        self.child: subprocess.Popen[bytes] | None = None
        self.disowned: dict[Path, list[str]] = {}
        self.was_ready = False
        self.not_before = 0.0
        self.told_to_stop = False
        signal.signal(signal.SIGTERM, self._on_sigterm)

    def run(self) -> int:
        while not self._is_unneeded():
            if not self._tend():
                return 1
            time.sleep(POLL)
        self._stop()
        return 0

    def _on_sigterm(self, *_: object) -> None:
        self.told_to_stop = True

    def _is_unneeded(self) -> bool:
        if self.told_to_stop:
            return True
        try:
            # Kept until this process ends: who comes meanwhile waits, and then starts anew.
            return try_lock(self.folder / CLIENTS) is not None
        except FileNotFoundError:  # the whole folder was removed
            return True

    def _tend(self) -> bool:
        """Start the server where it does not run; False where it cannot be started at all."""
        if self.child is not None and self.child.poll() is not None:
            status, self.child = self.child.returncode, None
            if status > 0:  # it gave up by itself, where a kill is negative and a stop is 0
                self._give_back()
                if not self.was_ready:
                    return False
                self.not_before = time.monotonic() + RETRY
        if time.monotonic() >= self.not_before:
            lock = try_lock(self.folder / SERVER)
            if lock is not None:
                try:
                    self._start(lock)
                finally:
                    os.close(lock)
        self.was_ready = self.was_ready or server_state(self.data) == "ready"
        self._bound_log()
        return True

    def _start(self, lock: int) -> None:
        self.disowned.clear()
        self._disown(self.data / "postmaster.pid")
        self._disown(self.sockets / f"{SOCKET}.lock")
        self.child = subprocess.Popen(
            self.command,
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=(lock,),
            start_new_session=True,
        )

    def _disown(self, path: Path) -> None:
        """Make a left-over lock file of postgres one that it takes for stale.

        Its pid may meanwhile be another program's, which postgres would take for a running
        server. Nothing is deleted: with its parent's pid there, postgres goes on to ask whether
        anybody uses the shared memory that the file names, and refuses to start if so.
        """
        lines = read_lines(path)
        if lines and lines[0].strip().isdigit():
            self.disowned[path] = lines
            write_lines(path, [str(os.getpid()), *lines[1:7]])
        else:
            path.unlink(missing_ok=True)  # cut short by a crash: postgres would refuse it

    def _give_back(self) -> None:
        """Undo `_disown` where postgres left the files alone: somebody else's server may run."""
        for path, lines in self.disowned.items():
            if read_lines(path)[:1] == [str(os.getpid())]:
                write_lines(path, lines)

    def _bound_log(self) -> None:
        size = os.fstat(2).st_size
        if size > LOG_LIMIT:
            kept = os.pread(2, LOG_KEPT, size - LOG_KEPT)
            os.ftruncate(2, 0)  # everybody writes to it in append mode, so nothing else is needed
            os.write(2, kept)

    def _stop(self) -> None:
        """Fast stop: sessions end, transactions roll back; an immediate one where that hangs."""
        sent: set[int] = set()
        quit_at = time.monotonic() + FAST_STOP_LIMIT
        while not self._is_gone():
            pid = self._find_postmaster()
            kind = signal.SIGINT if time.monotonic() < quit_at else signal.SIGQUIT
            if pid is not None and kind not in sent:
                os.kill(pid, kind)
                sent.add(kind)
            time.sleep(0.02)
        self._give_back()
        if self.sockets.parent != self.folder and self.sockets.is_dir():
            self.sockets.rmdir()

    def _find_postmaster(self) -> int | None:
        if self.child is not None:
            return self.child.pid if self.child.poll() is None else None
        # Started by a supervisor that was killed. The pid file speaks the truth only while its
        # writer lives, and then it listens.
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.sockets / SOCKET))
            except (FileNotFoundError, ConnectionRefusedError):
                return None
        lines = read_lines(self.data / "postmaster.pid")
        return int(lines[0]) if lines and lines[0].strip().isdigit() else None

    def _is_gone(self) -> bool:
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
    folder, sockets, uid, gid, *command = arguments
    if os.fork():
        os._exit(0)  # the process that attached waits for this one and is left without a child
    if uid:  # started by root, for a user without rights, whom this file itself may be closed to
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    while True:
        # One process watches, another works: when the worker is killed, the next one takes over
        # the running server; when the watcher is killed, the worker goes on. Where both are, the
        # server goes on, and the next process that attaches starts two new ones for it.
        worker = os.fork()
        if not worker:
            return Supervisor(Path(folder), Path(sockets), command).run()
        _, status = os.waitpid(worker, 0)
        if not os.WIFSIGNALED(status):
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
