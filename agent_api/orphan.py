"""Ends a worker process whose parent is gone, as after kill -9: nobody else would."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait


def end_with_parent() -> None:
    """Stop this process as SIGTERM does once the one that started it has ended.

    Otherwise a worker would serve on unwatched, and the next start would find the port taken. In a
    process that multiprocessing did not start this does nothing.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
