"""Runs commands whose standard output is a terminal."""

import os
import pty
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes import wait_until
from tests.servers import clean_environment, command


class Terminal:
    """What a process has written to its terminal so far."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._said = b""

    def read(self) -> str:
        """Return all that the process has written, with the line ends of a file."""
        try:
            while more := os.read(self._descriptor, 65536):
                self._said += more
        except BlockingIOError:
            pass  # nothing more at the moment
        return self._said.decode().replace("\r\n", "\n")

    def wait_for(self, text: str) -> str:
        """Return all that was written, once `text` is in it."""
        wait_until(lambda: text in self.read() or self.process.poll() is not None)
        return self.read()


@contextmanager
def on_terminal(*arguments: str, env: dict[str, str], **settings: str) -> Iterator[Terminal]:
    """Run a command of agent-api with a terminal as standard output, and end it after the block."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    termios.tcsetwinsize(theirs, (24, 80))
    try:
        process = subprocess.Popen(
            command(*arguments),
            env=clean_environment(**settings) | env,
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Terminal(process, ours)
        finally:
            process.terminate()
            process.wait(30)
    finally:
        os.close(theirs)
        os.close(ours)
