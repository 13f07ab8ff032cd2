"""The limit of connections, which follows from the limit of file descriptors."""

import functools
import logging
import math
import sys
import time

if sys.platform != "win32":
    import resource

logger = logging.getLogger(__name__)

RESERVED = 128
"""File descriptors for database connections, files and libraries."""
UNLIMITED = 1 << 20
WARNING_SECONDS = 10
"""The shortest time between two warnings."""


def raise_descriptor_limit() -> None:
    """Raise the limit of file descriptors, for this process and its children, to its maximum."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS refuses "unlimited"
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class ConnectionLimit:
    """How many clients can be connected to this process at a time."""

    def __init__(self) -> None:
        self.maximum = _own_limit()
        self._warned_at = -math.inf

    def is_exceeded(self, connections: int) -> bool:
        """Tell whether there are too many connections, and warn now and then if so."""
        if connections <= self.maximum:
            return False
        now = time.monotonic()
        if now > self._warned_at + WARNING_SECONDS:
            self._warned_at = now
            logger.warning("too many connections", extra={"limit": self.maximum})
        return True


@functools.cache
def connection_limit() -> ConnectionLimit:
    """Return the limit of this process."""
    return ConnectionLimit()


def most_connections(descriptors: int) -> int:
    """Return how many clients can be connected to a process with this limit of descriptors."""
    if sys.platform == "win32" or descriptors == resource.RLIM_INFINITY:
        return UNLIMITED
    return max(descriptors - RESERVED, descriptors // 2)


def _own_limit() -> int:
    if sys.platform == "win32":
        return UNLIMITED
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most_connections(soft)
