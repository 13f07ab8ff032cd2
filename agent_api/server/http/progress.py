"""Detects slow clients by checking their progress once a second."""

import asyncio
import socket
import struct
import sys
from collections.abc import Hashable

if sys.platform != "win32":
    import fcntl
    import termios

MIN_BYTES_PER_SECOND = 1000
"""Slower clients are disconnected."""


class ProgressWatch:
    """Tracks the client's current step, when it began, and its progress in bytes."""

    __slots__ = ("_amount", "_since", "_step")

    def __init__(self) -> None:
        self._step: Hashable = None
        self._since = 0.0
        self._amount = 0

    def restart(self) -> None:
        """Give the client the full time for its next step."""
        self._step = None

    def is_too_slow(self, step: Hashable, amount: int, now: float, timeout: float) -> bool:
        """Tell whether the client is late with `step`. It has sent or read `amount` bytes of it.

        In each `timeout` seconds it must finish the step, or send or read MIN_BYTES_PER_SECOND on
        average. A step of None means that the client has nothing to do.
        """
        if step == self._step and step is not None:
            if now < self._since + timeout:
                return False
            if amount < self._amount + MIN_BYTES_PER_SECOND * timeout:
                return True
        self._step, self._since, self._amount = step, now, amount
        return False


def unsent_bytes(transport: asyncio.Transport) -> int:
    """Return how many bytes the client has yet to read, or 0 if our own buffer is empty.

    The kernel accepts megabytes at once and then nothing until a slow client has read most of
    them. Its buffer counts too, otherwise such a client would seem to make no progress.
    """
    ours = transport.get_write_buffer_size()
    return ours and ours + _unsent_by_kernel(transport.get_extra_info("socket"))


def _unsent_by_kernel(client: socket.socket) -> int:
    if sys.platform == "linux":
        unsent = fcntl.ioctl(client.fileno(), termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("i", unsent)[0])
    elif sys.platform == "darwin":  # noqa: RET505  # mypy reports a second `if` as unreachable
        return client.getsockopt(socket.SOL_SOCKET, 0x1024)  # SO_NWRITE
    else:
        return 0
