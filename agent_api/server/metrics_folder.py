"""The folder in which the processes of one server share their counts."""

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from agent_api.server.startup_checks import temporary_files

if sys.platform != "win32":
    import fcntl

PREFIX = "agent-api-metrics-"
LOCK = "lock"


def create() -> TemporaryDirectory[str]:
    """Return a new folder, and remove those of servers that were killed.

    Raises ConfigError if temporary files cannot be written.
    """
    with temporary_files():
        # A process may be writing a count while the folder is removed, so that some files are left.
        folder = TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True)
    if sys.platform != "win32":
        _lock(Path(folder.name))
        for sibling in Path(folder.name).parent.glob(f"{PREFIX}*"):
            if _is_abandoned(sibling):
                shutil.rmtree(sibling, ignore_errors=True)
    return folder


def _lock(folder: Path) -> None:
    """Lock a folder until this process ends, even by kill -9."""
    new = folder / f"{LOCK}.new"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT, 0o600)  # the end of the process closes it
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    new.rename(folder / LOCK)  # so that others never see it unlocked


def _is_abandoned(folder: Path) -> bool:
    """Tell whether the folder is this user's, and the process that locked it has ended."""
    try:
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:  # another user's, or its process has not locked it yet
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_uid == os.getuid()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
