"""The folder in which the processes of one server share their counts."""

import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from agent_api.server.startup_checks import temporary_files
from agent_api.settings import Settings, exported_metrics_folder

if sys.platform != "win32":
    import fcntl

PREFIX = "agent-api-metrics-"
LOCK = "lock"
FILES = ("counter", "gauge_livesum", "gauge_max", "histogram")
"""What prometheus_client calls the files of a process, without the process id."""
FILE_BYTES = 512 * 1024
"""Twice what all operations, methods and statuses take."""


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


def allocate_files(settings: Settings) -> None:
    """Create the files of this process with all the space that they will need.

    prometheus_client maps sparse files into memory: when the disk is full, counting something for
    the first time would end the process with SIGBUS. Call this before metrics are imported.

    Raises ConfigError if the disk is full.
    """
    if settings.metrics_port is None:
        return
    with temporary_files():
        for kind in FILES:
            path = exported_metrics_folder() / f"{kind}_{os.getpid()}.db"
            # A file with the counts of an earlier process of this id already has its space.
            with suppress(FileExistsError), path.open("xb") as file:
                file.write(bytes(FILE_BYTES))


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
