"""Our server for these measurements, and the CPU that it and PostgreSQL take for a request."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks import servers
from benchmarks.growth import client
from benchmarks.servers import Server
from benchmarks.workload import SECRET

POOL_SIZE = 10
TICK = 0.01


@contextmanager
def serve(url: str, folder: Path, name: str, *, workers: int = 1) -> Iterator[Server]:
    """`agent-api serve` as its users start it, ready to answer, but for its log of requests."""
    with launch(
        folder, name, {"AGENT_API_DATABASE_URL": url, "AGENT_API_WORKERS": str(workers)}, folder
    ) as server:
        servers.wait_until_ready(server, folder / f"{name}.log")
        yield server


def launch(
    folder: Path, name: str, settings: dict[str, str], data_dir: Path
) -> AbstractContextManager[Server]:
    """The same, not waited for; `folder` is where its log goes."""
    port = servers.free_port()
    given = {
        "AGENT_API_DATA_DIR": str(data_dir),
        "AGENT_API_PORT": str(port),
        "AGENT_API_JWT_SECRET": SECRET,
        "AGENT_API_POOL_SIZE": str(POOL_SIZE),
        "AGENT_API_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "agent_api", "serve"]
    return servers.running(name, command, given | settings, port, folder)


@dataclass(frozen=True)
class Sample:
    """One slice; CPU in microseconds a request."""

    cpu: float
    database_cpu: float
    load: client.Load

    @property
    def both_cpu(self) -> float:
        return self.cpu + self.database_cpu


def measure(
    server: Server,
    postmaster: psutil.Process,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float,
) -> Sample:
    """Load the server for a while; raises LoadFailed."""
    before = servers.wait_until_at_rest(server.process)
    database_before = servers.cpu(postmaster)
    load = client.run(server.port, requests, connections=connections, seconds=seconds)
    after = servers.wait_until_at_rest(server.process)
    database_after = servers.cpu(postmaster)
    each = 1e6 / load.answered
    # The clock ticks: of a slice of --quick it may see nothing, by which nobody can divide.
    return Sample(
        max(servers.spent(before, after), TICK) * each,
        max(servers.spent(database_before, database_after), TICK) * each,
        load,
    )
