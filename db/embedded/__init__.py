"""Starts the embedded PostgreSQL of a data folder, or attaches to it if it is running."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from db.errors import EmbeddedError

if sys.platform != "win32":  # on Windows this package is imported but cannot be used
    from db.embedded.attachment import Attachment
    from db.embedded.folders import make_folder
    from db.embedded.install import find_binaries, find_package
    from db.embedded.supervisor import SERVER, SUPERVISOR, try_lock

__all__ = [
    "EmbeddedError",
    "Server",
    "attach",
    "check_installed",
    "exists",
    "is_stopped",
    "make_folder",
    "program",
]


@dataclass(frozen=True)
class Server:
    """A share in a running server, which stops when no process holds a share any more.

    The share lasts until `close` or the end of the process, even if this object is discarded.
    """

    url: str
    data_dir: Path
    _share: list[int] = field(repr=False, compare=False)

    def close(self) -> None:
        """Give up the share. Further calls have no effect."""
        while self._share:
            os.close(self._share.pop())


def attach(
    data_dir: Path,
    *,
    create: bool = True,
    durable: bool = True,
    on_progress: Callable[[str], None] | None = None,
) -> Server:
    """Start the server of data_dir, or attach to a running one, and wait until it answers.

    Many processes may call this at once. With `create=False`, it raises EmbeddedError if the
    database does not exist. With `durable=False`, for tests, a crash of the machine can lose or
    damage the data; a durable caller refuses to attach to such a server.
    """
    check_installed()
    if not str(data_dir).isprintable():  # postmaster.pid contains the path as one UTF-8 line
        raise EmbeddedError(
            f"PostgreSQL cannot use a folder named {str(data_dir)!a}:"
            " set AGENT_API_DATA_DIR to another folder"
        )
    try:
        data_dir = data_dir.resolve()
        url, share = Attachment(data_dir, create, durable, on_progress or _ignore).attach()
    except OSError as error:
        reason = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        raise EmbeddedError(
            f"Cannot use the data folder {data_dir}: {reason}."
            " Set AGENT_API_DATA_DIR to a writable folder with free space"
        ) from error
    return Server(url, data_dir, [share])


def check_installed() -> None:
    """Raise EmbeddedError unless the extra with the embedded PostgreSQL is installed."""
    if sys.platform == "win32":
        raise EmbeddedError("The embedded PostgreSQL does not run on Windows: use WSL")
    find_package()


def program(name: str, data_dir: Path) -> Path:
    """Return the path of a PostgreSQL program, such as psql, of the version of data_dir."""
    return find_binaries(data_dir / "postgres" / "data") / "bin" / name


def exists(data_dir: Path) -> bool:
    """Return whether `data_dir` has an embedded database, or a part of one."""
    return (data_dir / "postgres" / "data").exists()


def is_stopped(data_dir: Path) -> bool:
    """Return whether the server of data_dir and its supervisor have ended."""
    for path in (data_dir / "postgres" / name for name in (SUPERVISOR, SERVER)):
        if path.exists():
            lock = try_lock(path)
            if lock is None:
                return False
            os.close(lock)
    return True


def _ignore(_: str) -> None:
    pass
