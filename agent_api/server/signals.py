"""The signals that ask a process to stop, and what asking again means."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ONE_SIGNAL_SECONDS = 0.5
"""Within which a second signal is the first once more: `timeout` and systemd send it to a process,
and to the group that the process is in."""

_AT_LEISURE = ("SIGINT", "SIGTERM", "SIGHUP")
_AT_ONCE = "SIGQUIT"


class StopSignals:
    """Whether the process was asked to stop, and whether it was told to do so at once.

    SIGHUP stops too: it says that the terminal is gone, and there are no settings to read anew,
    as the environment of a process does not change. A process whose parent is in charge is told
    to hurry by SIGQUIT alone: the others may come to it from its group and from its parent.
    """

    def __init__(self, *, has_parent: bool = False) -> None:
        self.asked = False
        self.at_once = False
        self._has_parent = has_parent
        self._since = 0.0

    @contextmanager
    def handled(self) -> Iterator[None]:
        """Take the signals until the block ends; one that was ignored (nohup) stays ignored."""
        before = {}
        for name in (*_AT_LEISURE, _AT_ONCE):
            number = getattr(signal, name, None)  # Windows has not all of them
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.asked:
            self._since = now
        is_another = now > self._since + ONE_SIGNAL_SECONDS
        self.asked = True
        if signal.Signals(number).name == _AT_ONCE or (is_another and not self._has_parent):
            self.at_once = True
