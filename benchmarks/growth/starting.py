"""How long `agent-api serve` takes to its first answer, with and without data there already."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.growth import client, serving
from benchmarks.load import LoadFailed
from benchmarks.servers import SECONDS_TO_START, NotStarted
from db import embedded

REQUEST = b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
PAUSE = 0.01


def measure(folder: Path, *, rounds: int, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Start on an empty data folder, stop, and start again on what that has left."""
    taken: dict[str, list[float]] = {"cold": [], "warm": []}
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        data_dir = folder / f"data-{number}"
        for kind, its in taken.items():
            its.append(_start(folder, f"{kind}-{number}", data_dir))
        shutil.rmtree(data_dir)
    return [
        {
            "start": kind,
            "seconds": round(median(its), 2),
            "fastest": round(min(its), 2),
            "slowest": round(max(its), 2),
        }
        for kind, its in taken.items()
    ]


def _start(folder: Path, name: str, data_dir: Path) -> float:
    started = time.perf_counter()
    with serving.launch(folder, name, {}, data_dir) as server:
        while not _is_ready(server.port):
            late = time.perf_counter() - started > SECONDS_TO_START
            if late or server.process.poll() is not None:
                raise NotStarted(f"{name}:\n{(folder / f'{name}.log').read_text()}")
            time.sleep(PAUSE)
        taken = time.perf_counter() - started
    deadline = time.monotonic() + SECONDS_TO_START
    while not embedded.is_stopped(data_dir) and time.monotonic() < deadline:
        time.sleep(0.05)
    return taken


def _is_ready(port: int) -> bool:
    try:
        client.ask(port, REQUEST)
    except (ConnectionError, LoadFailed):
        return False
    return True
