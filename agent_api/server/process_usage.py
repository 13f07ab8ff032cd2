"""Reports the CPU time and memory of a server's processes, which it reads from Linux's /proc."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_PROC = Path("/proc")


class UsageCollector(Collector):
    """Adds up this process, its workers, and the CPU time of workers that have ended."""

    def __init__(self, worker_ids: Callable[[], Iterable[int]]) -> None:
        self._worker_ids = worker_ids
        self._highest = 0.0

    def collect(self) -> Iterator[Metric]:
        """Yield both metrics, or none if the system has no /proc."""
        if not (_PROC / "self" / "stat").exists():
            return
        own = os.times()
        cpu = own.user + own.system + own.children_user + own.children_system
        memory = _memory(os.getpid())
        for process_id in set(self._worker_ids()) - {os.getpid()}:
            try:
                cpu, memory = cpu + _cpu(process_id), memory + _memory(process_id)
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
        # The sum lacks a worker that ends between the two readings. A counter must never fall:
        # Prometheus would take that for a restart.
        self._highest = max(self._highest, cpu)
        yield CounterMetricFamily(
            "agent_api_cpu_seconds", "CPU time of all processes of the server.", self._highest
        )
        yield GaugeMetricFamily(
            "agent_api_resident_memory_bytes",
            "Memory of all processes of the server; pages that they share count for each.",
            memory,
        )


def _cpu(process_id: int) -> float:
    """Return the user and system time of a process and of the children it has waited for."""
    # The name before the last parenthesis can contain spaces. proc(5) numbers utime 14.
    fields = (_PROC / str(process_id) / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _memory(process_id: int) -> int:
    pages = int((_PROC / str(process_id) / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
