"""Waiting for a condition, and killing processes."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import psutil


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Return when `condition` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"timed out after {seconds} s"
        time.sleep(0.02)


def is_alive(process: psutil.Process) -> bool:
    """Return whether the process is running; a zombie that was not yet reaped is not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def kill(processes: Sequence[psutil.Process]) -> None:
    """Send SIGKILL to all at once, so that none can react to another's end, and wait."""
    assert processes
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it ended with its parent
            process.kill()
    wait_until(lambda: not any(map(is_alive, processes)))
