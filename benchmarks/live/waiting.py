"""What open streams cost while nothing happens."""

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import psutil

from benchmarks.live import resources
from benchmarks.live.readers import following
from benchmarks.servers import Server


def measure(
    server: Server,
    postmaster: psutil.Process,
    url: str,
    *,
    counts: tuple[int, ...],
    settle: float,
    seconds: float,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure without streams, and with each number of streams of as many runs."""
    with following(server.port, url, range(100)):  # fills pools and caches
        pass
    rows = []
    empty: resources.Held | None = None
    for count in (0, *counts):
        say(f"  {count:,} streams")
        opening = time.monotonic()
        with following(server.port, url, range(count)) as readers:
            opened = time.monotonic() - opening
            time.sleep(settle)
            meter = resources.Meter(server, postmaster, url)
            time.sleep(seconds)
            used = meter.read()
            held = resources.hold(server, postmaster, url)
            readers.arrivals()  # raises LoadFailed if a stream has ended
        empty = empty or held
        rows.append(
            {
                "streams": count,
                **{name: round(value, 1) for name, value in asdict(used).items()},
                "memory_mb": round(held.memory / 2**20, 1),
                "kb_per_stream": _kilobytes(held.memory - empty.memory, count),
                "database_kb_per_stream": _kilobytes(
                    held.database_memory - empty.database_memory, count
                ),
                "threads": held.threads,
                "connections": held.connections,
                "opened_per_second": round(count / opened),
            }
        )
    return rows


def _kilobytes(memory: int, count: int) -> float:
    return round(memory / count / 1000, 1) if count else 0.0
