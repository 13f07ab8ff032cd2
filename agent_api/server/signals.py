"""The signals that stop a process: gracefully, or at once."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SAME_SIGNAL_SECONDS = 0.5
"""A signal this soon after the first is a copy of it: `timeout` and systemd send one to the
process, and another one to its process group."""

_GRACEFUL = ("SIGINT", "SIGTERM", "SIGHUP")
_AT_ONCE = "SIGQUIT"


class StopSignals:
    """Whether the process was asked to stop, and whether to do so at once.

    SIGHUP also stops the process, because it has no configuration file to reload. A second signal
    means at once. In a child process only SIGQUIT does, because it can get the other
    signals twice, from its parent and from its process group.
    """

    def __init__(self, *, has_parent: bool = False) -> None:
        self.requested = False
        self.at_once = False
        self._has_parent = has_parent
        self._first_at = 0.0

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Handle the signals until the block ends, except those that are ignored (nohup).

        A child always handles SIGQUIT, which its parent sends. Shells ignore it in background jobs.
        """
        before = {}
        for name in (*_GRACEFUL, _AT_ONCE):
            number = getattr(signal, name, None)  # Windows lacks some of them
            is_ours = name == _AT_ONCE and self._has_parent
            if number is not None and (is_ours or signal.getsignal(number) is not signal.SIG_IGN):
                before[number] = signal.signal(number, self._handle)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.requested:
            self._first_at = now
        is_second = now > self._first_at + SAME_SIGNAL_SECONDS
        self.requested = True
        if signal.Signals(number).name == _AT_ONCE or (is_second and not self._has_parent):
            self.at_once = True
