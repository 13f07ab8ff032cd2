"""What a server and PostgreSQL take while time passes."""

import time
from contextlib import closing
from dataclasses import dataclass

import psutil
import psycopg2

from benchmarks import servers
from benchmarks.servers import Server

# The connection that asks is not counted, nor is its transaction.
_COUNTS = """
SELECT
  (SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()),
  (SELECT count(*) FROM pg_stat_activity
   WHERE datname = current_database() AND backend_type = 'client backend'
     AND pid <> pg_backend_pid())
"""


@dataclass(frozen=True)
class Used:
    """CPU in milliseconds per second, and statements per second, each its own transaction."""

    cpu_ms: float
    database_cpu_ms: float
    statements: float


@dataclass(frozen=True)
class Held:
    """What the processes hold at one time; memory in bytes, PostgreSQL's without what it shares."""

    memory: int
    database_memory: int
    threads: int
    connections: int


class Meter:
    """Measures from its creation to `read`."""

    def __init__(self, server: Server, postmaster: psutil.Process, url: str) -> None:
        self._server = server
        self._postmaster = postmaster
        self._url = url
        self._transactions, _ = _counts(url)
        self._cpu, self._database_cpu = servers.cpu(server.process), servers.cpu(postmaster)
        self._started = time.monotonic()

    def read(self) -> Used:
        """Return what was used.

        PostgreSQL counts the transactions of an idle connection up to 10 seconds late.
        """
        cpu, database_cpu = servers.cpu(self._server.process), servers.cpu(self._postmaster)
        taken = time.monotonic() - self._started
        transactions, _ = _counts(self._url)
        return Used(
            servers.spent(self._cpu, cpu) / taken * 1000,
            servers.spent(self._database_cpu, database_cpu) / taken * 1000,
            max(transactions - self._transactions - 1, 0) / taken,
        )


def hold(server: Server, postmaster: psutil.Process, url: str) -> Held:
    """Look at what is held now."""
    tree = (server.process, *server.process.children(recursive=True))
    return Held(
        sum(one.memory_info().rss for one in tree),
        sum(map(_own_memory, postmaster.children(recursive=True))),
        sum(one.num_threads() for one in tree),
        _counts(url)[1],
    )


def _own_memory(process: psutil.Process) -> int:
    try:
        memory: int = process.memory_full_info().uss
    except psutil.NoSuchProcess:
        return 0  # it ended in between, as those of autovacuum do
    return memory


def _counts(url: str) -> tuple[int, int]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(_COUNTS)
        [(transactions, connections)] = cursor.fetchall()
        return transactions, connections
