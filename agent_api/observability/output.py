"""Writes the lines of the log to standard error, and never waits for a reader that is stuck."""

import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

MAX_LINES = 10_000
"""If the reader of a pipe is stuck, the newest lines are kept until it reads again."""
LAST_SECONDS = 1
"""How long the end of a process waits for the reader."""
PIPE_BUF = 512 if sys.platform == "win32" else select.PIPE_BUF
"""So many bytes are written at once, or not at all (POSIX)."""


class LogOutput:
    """Collects lines until `flush` formats and writes them, many at a time.

    A system call lets other threads take Python's lock, and the code that formats a line is no
    longer in the processor's caches after a request. So the server flushes once per tick.
    """

    def __init__(self) -> None:
        self._unformatted: deque[Callable[[], bytes]] = deque(maxlen=MAX_LINES)
        self._lines: deque[bytes] = deque(maxlen=MAX_LINES)
        self._flushing = threading.Lock()

    def append(self, format_line: Callable[[], bytes]) -> None:
        """Add a function that returns a line, which ends with a line feed."""
        self._unformatted.append(format_line)

    def write(self, text: str) -> None:
        """Add the text of a record; `logging.StreamHandler` calls this, and then `flush`."""
        self.append(partial(text.encode, sys.stderr.encoding, "backslashreplace"))

    def flush(self, seconds: float = 0) -> None:
        """Write the lines that standard error takes without waiting longer than `seconds`.

        Whole lines up to PIPE_BUF bytes are one system call: workers that share a pipe would mix
        longer ones, and a pipe that is ready takes so many. A full disk must not fail requests.
        """
        with self._flushing, suppress(OSError):
            while self._unformatted:
                self._lines.append(self._unformatted.popleft()())
            while self._lines and _takes_more(seconds):
                block = self._lines.popleft()
                while self._lines and len(block) + len(self._lines[0]) <= PIPE_BUF:
                    block += self._lines.popleft()
                sys.stderr.buffer.write(block)
                sys.stderr.buffer.flush()


def _takes_more(seconds: float) -> bool:
    """Wait up to `seconds` until standard error takes PIPE_BUF bytes; Windows cannot tell."""
    return sys.platform == "win32" or bool(select.select([], [sys.stderr], [], seconds)[1])


OUTPUT = LogOutput()
"""The output of all log lines of this process, so that they keep their order."""
