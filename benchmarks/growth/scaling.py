"""One worker against two, on the same rows and the same machine."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import psutil

from benchmarks import servers
from benchmarks.growth import client, operations, serving
from benchmarks.growth.rows import Sizes
from benchmarks.load import CONNECTIONS
from benchmarks.servers import Server
from benchmarks.workload import raw_requests


def measure(
    running: Sequence[tuple[int, Server]],
    postmaster: psutil.Process,
    sizes: Sizes,
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """List 50 conversations from each in turn; raises LoadFailed."""
    requests = raw_requests(operations.calls(sizes)["list_conversations"])
    for _, server in running:
        client.run(server.port, requests, connections=CONNECTIONS, seconds=seconds / 2)
    samples: dict[int, list[serving.Sample]] = {workers: [] for workers, _ in running}
    busiest: dict[int, list[float]] = {workers: [] for workers, _ in running}
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        for workers, server in running:
            before = servers.cpu(server.process)
            sample = serving.measure(
                server, postmaster, requests, connections=CONNECTIONS, seconds=seconds
            )
            after = servers.cpu(server.process)
            each = [spent - before.get(pid, 0.0) for pid, spent in after.items()]
            samples[workers].append(sample)
            busiest[workers].append(max(each) / sum(each))
    return [
        {
            "workers": workers,
            "connections": CONNECTIONS,
            "per_second": round(median(one.load.per_second for one in its), 1),
            "p50_ms": round(median(one.load.quantile(0.5) for one in its) / 1000, 2),
            "p99_ms": round(median(one.load.quantile(0.99) for one in its) / 1000, 2),
            "cpu_us": round(median(one.cpu for one in its), 1),
            "database_cpu_us": round(median(one.database_cpu for one in its), 1),
            # Connections stay with the process that took them: the halves are not always equal.
            "busiest_workers_share": round(median(busiest[workers]), 2),
        }
        for workers, its in samples.items()
    ]
