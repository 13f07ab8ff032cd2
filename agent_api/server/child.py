"""The application of a child process: a worker, or the server that --reload restarts."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

import connexion

from agent_api import app
from agent_api.observability import log
from agent_api.settings import Settings


def create_app() -> connexion.FlaskApp:
    """Return the application of one child process; uvicorn finds this function by its name."""
    _end_with_parent()
    settings = Settings.load()
    log.configure(settings)
    return app.create_app(settings)


def _end_with_parent() -> None:
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
