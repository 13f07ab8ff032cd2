"""The memory of a worker after more and more requests, of all six operations in turn."""

from collections.abc import Callable, Sequence
from itertools import chain, cycle, islice
from typing import Any

from benchmarks.growth import client, operations
from benchmarks.growth.rows import Sizes
from benchmarks.load import CONNECTIONS
from benchmarks.servers import Server, wait_until_at_rest
from benchmarks.workload import raw_requests


def measure(
    server: Server, sizes: Sizes, counts: Sequence[int], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Look at a fresh worker after each of the counts; raises LoadFailed."""
    prepared = [raw_requests(calls) for calls in operations.calls(sizes).values()]
    longest = max(len(requests) for requests in prepared)
    turns = zip(*(islice(cycle(requests), longest) for requests in prepared), strict=True)
    mix = list(chain.from_iterable(turns))
    rows = []
    done = 0
    for count in counts:
        say(f"  to {count:,} requests")
        load = client.run(server.port, mix, connections=CONNECTIONS, count=count - done)
        done += load.answered
        wait_until_at_rest(server.process)
        memory = server.process.memory_full_info()
        rows.append(
            {
                "requests": done,
                "rss_mb": round(memory.rss / 2**20, 1),
                "uss_mb": round(memory.uss / 2**20, 1),
                "per_second": round(load.per_second, 1),
            }
        )
    return rows
