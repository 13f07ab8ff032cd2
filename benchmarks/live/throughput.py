"""How many events pass through one worker to the readers that follow them."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import psutil

from benchmarks.growth import serving
from benchmarks.live import rows
from benchmarks.live.readers import following
from benchmarks.load import LoadFailed
from benchmarks.servers import Server

RUNS = 100
BATCH = 20
WRITERS = 8


def measure(
    server: Server,
    postmaster: psutil.Process,
    url: str,
    *,
    readers: Sequence[int],
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Append as fast as the worker answers. Raises LoadFailed unless all readers get all events."""
    requests = rows.append(range(RUNS), events=BATCH)
    found = []
    for count in readers:
        say(f"  {count:,} readers")
        samples, late = [], []
        for _ in range(rounds):
            runs = [number % RUNS for number in range(count)]
            with following(server.port, url, runs) as followed:
                sample = serving.measure(
                    server, postmaster, requests, connections=WRITERS, seconds=seconds
                )
                ended = time.monotonic()
                events = sample.load.answered * BATCH
                arrivals = followed.collect(events * count // RUNS)
            copies = set(Counter((run, sequence) for run, sequence, _ in arrivals).values())
            if count and copies != {count // RUNS}:
                raise LoadFailed(f"{copies} readers of a run received the same event")
            samples.append(sample)
            late.append(max((at - ended for *_, at in arrivals), default=0.0))
        found.append(_summary(count, samples, late))
    return found


def _summary(
    readers: int, samples: Sequence[serving.Sample], late: Sequence[float]
) -> dict[str, Any]:
    per_second = median(one.load.per_second for one in samples) * BATCH
    return {
        "readers": readers,
        "batch": BATCH,
        "writers": WRITERS,
        "events_per_second": round(per_second),
        "deliveries_per_second": round(per_second * readers / RUNS),
        "p99_ms": round(median(one.load.quantile(0.99) for one in samples) / 1000, 1),
        "cpu_us_per_event": round(median(one.cpu for one in samples) / BATCH, 1),
        "database_cpu_us_per_event": round(median(one.database_cpu for one in samples) / BATCH, 1),
        "last_arrival_s": round(max(median(late), 0.0), 2),
    }
