"""What it costs to append an event, compared with creating a message."""

from collections.abc import Callable
from statistics import median, quantiles
from typing import Any

import psutil

from benchmarks.growth import serving
from benchmarks.live import rows
from benchmarks.load import CONNECTIONS
from benchmarks.servers import Server

ROWS = 100


def measure(
    server: Server,
    postmaster: psutil.Process,
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure pairs: a ratio is taken within a round, whose slices are seconds apart."""
    requests = {
        "create_message": rows.create_message(range(ROWS)),
        "append_run_events": rows.append(range(ROWS)),
    }
    samples: dict[str, list[serving.Sample]] = {name: [] for name in requests}
    for number in range(rounds + 1):  # the first fills pools and caches
        say(f"  round {number} of {rounds}")
        for name in sorted(requests, reverse=bool(number % 2)):
            sample = serving.measure(
                server, postmaster, requests[name], connections=CONNECTIONS, seconds=seconds
            )
            if number:
                samples[name].append(sample)
    return [_summary(name, its, samples["create_message"]) for name, its in samples.items()]


def _summary(name: str, its: list[serving.Sample], others: list[serving.Sample]) -> dict[str, Any]:
    ratios = [one.both_cpu / other.both_cpu for one, other in zip(its, others, strict=True)]
    low, middle, high = (
        quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    )
    return {
        "operation": name,
        "cpu_us": round(median(one.cpu for one in its), 1),
        "database_cpu_us": round(median(one.database_cpu for one in its), 1),
        "ratio": round(middle, 2),
        "quartiles": f"{low:.2f}-{high:.2f}",
    }
