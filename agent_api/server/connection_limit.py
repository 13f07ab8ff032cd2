"""File descriptors: how many the process may have, and how many connections fit into them."""

import functools
import sys

if sys.platform != "win32":
    import resource

RESERVED = 128
"""For the database's connections, files and libraries."""

UNLIMITED = 1 << 20
"""Stands for no limit, as on Windows."""


def raise_limit() -> None:
    """Raise this process's limit, and that of processes it starts, as far as it is allowed to."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS refuses "unlimited", and has a limit of its own
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@functools.cache
def most_connections() -> int:
    """Return how many clients may be connected to this process at a time."""
    if sys.platform == "win32":
        return UNLIMITED
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return UNLIMITED
    return max(soft - RESERVED, soft // 2)
