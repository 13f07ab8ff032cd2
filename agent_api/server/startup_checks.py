"""Finds out before the start whether this process can write temporary files and start workers."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_uint64
from multiprocessing import spawn
from multiprocessing.sharedctypes import RawValue

from agent_api.settings import ConfigError


@contextmanager
def temporary_files() -> Iterator[None]:
    """Raise ConfigError if the block fails to write a temporary file."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"Cannot write temporary files: {error.strerror}. Set TMPDIR to a writable folder"
        ) from error


def check_workers() -> None:
    """Raise ConfigError if workers cannot share memory or execute Python."""
    with temporary_files():
        RawValue(c_uint64, 0)  # in /dev/shm, or in a temporary file
    python = os.fsdecode(spawn.get_executable())
    try:
        subprocess.run([python, "-I", "-S", "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"Cannot start workers with {python}: {reason}."
            " Let this user execute it, or serve without --workers"
        ) from error
