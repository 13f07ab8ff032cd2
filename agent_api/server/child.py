"""The application of a child process: a worker, or the server that --reload restarts."""

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

import connexion

from agent_api import app
from agent_api.observability import log
from agent_api.server import metrics_folder
from agent_api.settings import Settings


def create_app() -> connexion.FlaskApp:
    """Return the application; uvicorn calls this function by its name."""
    stop_with_parent()
    settings = Settings.load()
    log.configure(settings)
    metrics_folder.allocate_files(settings)
    return app.create_app(settings)


def stop_with_parent() -> None:
    """Stop this process, as SIGTERM does, when its parent has ended.

    Otherwise a worker would go on serving, and the next start would find the port in use. Does
    nothing in a process that multiprocessing did not start.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()
