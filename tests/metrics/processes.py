"""The worker processes of a server with metrics."""

import re
from pathlib import Path

import psutil

from tests.processes import is_alive
from tests.servers import Server


def metrics_folder(server: Server) -> Path:
    """Return the folder in which the workers count."""
    (worker, *_) = psutil.Process(server.process.pid).children()
    return Path(worker.environ()["PROMETHEUS_MULTIPROC_DIR"])


def workers(server: Server, folder: Path) -> list[int]:
    """Return the workers: the running child processes that have counted something."""
    children = psutil.Process(server.process.pid).children()
    counting = {int(re.findall(r"\d+", path.name)[-1]) for path in folder.glob("gauge_*.db")}
    return sorted(child.pid for child in children if child.pid in counting and is_alive(child))
