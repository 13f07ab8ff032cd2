"""How slow a client may be; looked at now and then, so that keeping pace costs nothing."""

import asyncio
import socket
import struct
import sys
from collections.abc import Hashable

if sys.platform != "win32":
    import fcntl
    import termios

LEAST_RATE = 1000
"""Bytes a second: a phone at the edge of its network is faster."""


class Pace:
    """What a client is doing, since when, and how far it was then."""

    __slots__ = ("_amount", "_since", "_step")

    def __init__(self) -> None:
        self._step: Hashable = None
        self._since = 0.0
        self._amount = 0

    def is_too_slow(self, step: Hashable, amount: int, now: float, patience: float) -> bool:
        """Tell whether for `patience` seconds the client neither ended `step` nor kept pace.

        `amount` is how many bytes of the step are done. None is a step that is ours.
        """
        if step == self._step and step is not None:
            if now < self._since + patience:
                return False
            if amount < self._amount + LEAST_RATE * patience:
                return True
        self._step, self._since, self._amount = step, now, amount
        return False


def unread(transport: asyncio.Transport) -> int:
    """Return how many bytes the client has yet to take, or 0 where all are in the system's hands.

    The system takes megabytes at once, and then none for as long as a slow client needs for them:
    so what it holds counts too, or such a client would seem to stand still.
    """
    ours = transport.get_write_buffer_size()
    return ours and ours + _held_by_the_system(transport.get_extra_info("socket"))


def _held_by_the_system(client: socket.socket) -> int:
    if sys.platform == "linux":
        held = fcntl.ioctl(client.fileno(), termios.TIOCOUTQ, bytes(4))
        return int(struct.unpack("i", held)[0])
    elif sys.platform == "darwin":  # noqa: RET505  # mypy finds fault with a second `if`
        return client.getsockopt(socket.SOL_SOCKET, 0x1024)  # SO_NWRITE
    else:
        return 0


MAX_UNREAD_BYTES = 64 * 1024 * 1024
"""Who has sent so much more without a look at the answer will not look at it."""


class UnreadInput:
    """How much came since the answer; a close before its end would take the answer away.

    The system answers what comes to a closed socket with a reset, and the client's system then
    drops what its program has not read yet (RFC 9112 section 9.6).
    """

    __slots__ = ("_since", "amount")

    def __init__(self, now: float) -> None:
        self._since = now
        self.amount = 0

    def is_too_much(self, now: float, patience: float) -> bool:
        """Tell whether the client had its time, `patience` seconds, or sent more than enough."""
        return now > self._since + patience or self.amount > MAX_UNREAD_BYTES
