"""The measurement: short slices, one server at a time, in an order that moves on each round."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import psutil
import psycopg2

from benchmarks.load import Client
from benchmarks.servers import Server, cpu, spent, switches, wait_until_at_rest
from benchmarks.workload import Workload, raw_requests

Requests = dict[str, list[bytes]]


@dataclass(frozen=True)
class Sample:
    """One slice; CPU in microseconds a request, latencies in microseconds.

    `switches` are the server's context switches a request, those while it waits and those that the
    system forces on it.
    """

    operation: str
    server: str
    run: int
    server_cpu: float
    database_cpu: float
    switches: float
    per_second: float
    p50: float
    p95: float
    p99: float

    @property
    def total_cpu(self) -> float:
        """What a request costs."""
        return self.server_cpu + self.database_cpu


def warm_up(client: Client, servers: Sequence[Server], workload: Workload, seconds: float) -> None:
    """Load each server with each operation once: pools fill, caches and statements are made."""
    for operation, calls in workload.items():
        requests = raw_requests(calls)
        for server in servers:
            client.run(server.port, requests, seconds, f"{server.name}, {operation}")


def measure(
    client: Client,
    servers: Sequence[Server],
    workload: Workload,
    postmaster: psutil.Process,
    *,
    run: int,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[Sample]:
    """Measure each server with each operation once a round; raises LoadFailed."""
    prepared = {name: raw_requests(calls) for name, calls in workload.items()}
    samples = []
    for number in range(rounds):
        say(f"  run {run + 1}, round {number + 1} of {rounds}")
        for turn, (operation, requests) in enumerate(prepared.items()):
            shift = (number + turn) % len(servers)
            samples += [
                _slice(client, server, operation, requests, postmaster, run, seconds)
                for server in (*servers[shift:], *servers[:shift])
            ]
    return samples


def _slice(
    client: Client,
    server: Server,
    operation: str,
    requests: list[bytes],
    postmaster: psutil.Process,
    run: int,
    seconds: float,
) -> Sample:
    before = wait_until_at_rest(server.process)
    database_before = cpu(postmaster)
    switches_before = switches(server.process)
    load = client.run(server.port, requests, seconds, f"{server.name}, {operation}")
    # Up to 16 requests are under way when the load stops: the servers finish them, so what was
    # sent is what the CPU was spent on.
    after = wait_until_at_rest(server.process)
    database_after = cpu(postmaster)
    switched = switches(server.process) - switches_before
    each = 1e6 / load.sent
    return Sample(
        operation,
        server.name,
        run,
        spent(before, after) * each,
        spent(database_before, database_after) * each,
        switched / load.sent,
        load.answered / load.seconds,
        load.p50,
        load.p95,
        load.p99,
    )


def find_postmaster(url: str) -> psutil.Process:
    """Return the process whose children are the database's."""
    with closing(psycopg2.connect(url)) as connection:
        backend = psutil.Process(connection.info.backend_pid)
        parent = backend.parent()
    if parent is None:
        raise RuntimeError("the database runs on another machine, or in another process namespace")
    return parent
