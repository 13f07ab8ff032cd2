"""Owns the way into the embedded PostgreSQL: attach to the server of a data folder, or start it."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from db.errors import EmbeddedError

if sys.platform != "win32":  # whoever has a PostgreSQL of their own imports this there as well
    from db.embedded.attachment import Attachment
    from db.embedded.folders import make_folder
    from db.embedded.install import find_binaries
    from db.embedded.supervisor import SERVER, SUPERVISOR, try_lock

__all__ = ["EmbeddedError", "Server", "attach", "is_stopped", "make_folder", "program"]


@dataclass(frozen=True)
class Server:
    """A share in the running server, which stops when the last share of any process is gone.

    The share lasts until `close` or the end of the process, also where this object is dropped.
    """

    url: str
    data_dir: Path
    _share: list[int] = field(repr=False, compare=False)

    def close(self) -> None:
        while self._share:
            os.close(self._share.pop())


def attach(
    data_dir: Path, *, durable: bool = True, on_progress: Callable[[str], None] | None = None
) -> Server:
    """Start the server of data_dir, or join the one that runs; returns when it answers.

    Safe to call from many processes at once. `durable=False` lets a crash of the machine lose or
    break the data: for tests. Whoever asks for a durable server is not given one of those.
    """
    if sys.platform == "win32":
        raise EmbeddedError("The embedded PostgreSQL does not run on Windows itself: use WSL")
    if not str(data_dir).isprintable():  # postmaster.pid has it as a line, in UTF-8
        raise EmbeddedError(
            f"PostgreSQL cannot use a folder of the name {str(data_dir)!a}:"
            " set AGENT_API_DATA_DIR to another one"
        )
    try:
        data_dir = data_dir.resolve()
        url, share = Attachment(data_dir, durable, on_progress or _keep_silent).make()
    except OSError as error:
        reason = f"{error.strerror or error}" + (f" ({error.filename})" if error.filename else "")
        raise EmbeddedError(
            f"The data folder {data_dir} cannot be used: {reason}."
            " Set AGENT_API_DATA_DIR to a folder that this user can write, with free space"
        ) from error
    return Server(url, data_dir, [share])


def program(name: str, data_dir: Path) -> Path:
    """The path of a PostgreSQL program, such as psql, that fits the data in data_dir."""
    return find_binaries(data_dir / "postgres" / "data") / "bin" / name


def is_stopped(data_dir: Path) -> bool:
    """Whether nothing of the server of data_dir is left running, its supervisor included."""
    for path in (data_dir / "postgres" / name for name in (SUPERVISOR, SERVER)):
        if path.exists():
            lock = try_lock(path)
            if lock is None:
                return False
            os.close(lock)
    return True


def _keep_silent(_: str) -> None:
    pass
