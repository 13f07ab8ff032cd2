"""PostgreSQL's own limit: pgbench with the very statements that the queries send."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import psycopg2

from benchmarks.growth import operations, serving
from benchmarks.growth.rows import SPREAD, Sizes, row_id
from benchmarks.load import LoadFailed
from benchmarks.servers import Server, cpu
from benchmarks.workload import raw_requests
from db import engine
from db.embedded import install

SETTINGS = {"statement_timeout": 5000, "timezone": "UTC", "jit": "off"}  # as the server's pool has
CLIENTS = (1, 4)
PAUSE = 0.2
SECONDS_AT_MOST = 60


@dataclass(frozen=True)
class Ran:
    """What pgbench saw, and PostgreSQL's CPU in microseconds a statement."""

    per_second: float
    database_cpu: float


Pair = tuple[Ran, serving.Sample]


class Database:
    """Captures statements from the queries, and has pgbench send them."""

    def __init__(self, url: str, folder: Path, postmaster: psutil.Process) -> None:
        self._url = url
        self._script = folder / "statement.sql"
        self.postmaster = postmaster
        self._pgbench = install.find_binaries(folder / "none") / "bin" / "pgbench"

    def capture(self, query: operations.Query) -> str:
        """Return a script of what the query sends, with its values in it."""
        sent: list[tuple[str, Any]] = []

        @contextmanager
        def note(sql: str, parameters: Any) -> Iterator[None]:
            sent.append((sql, parameters))
            yield

        hooks = engine.Hooks(around_statement=note)
        engine.configure(
            self._url, pool_size=1, statement_timeout_ms=5000, prepare=False, hooks=hooks
        )
        try:
            with engine.autocommit() as connection:
                connection.execute("BEGIN")
                query(connection)  # the first one also asks whether tables are distributed
                sent.clear()
                query(connection)
                messages = tuple(sent)
                connection.execute("ROLLBACK")
        finally:
            engine.dispose()
        with closing(psycopg2.connect(self._url)) as plain, plain.cursor() as cursor:
            return ";\n".join(_one_message(cursor.mogrify(*each).decode()) for each in messages)

    def run(self, script: str, *, clients: int, until: Sequence[str]) -> Ran:
        """Send it over and over, in the simple protocol, which is psycopg2's; raises LoadFailed.

        `until` is pgbench's option that ends it: -T seconds, or -t times for each client.
        """
        self._script.write_text(script, "utf-8")
        options = " ".join(f"-c {name}={value}" for name, value in SETTINGS.items())
        command = [str(self._pgbench), "-n", "-M", "simple", "-f", str(self._script)]
        command += ["-c", str(clients), "-j", "1", *until, self._url]
        before = self._cpu()
        done = subprocess.run(
            command,
            check=False,
            env=os.environ | {"PGOPTIONS": options},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS_AT_MOST,
        )
        time.sleep(PAUSE)  # its sessions end a moment after it
        spent = max(self._cpu() - before, serving.TICK)
        count = re.search(
            r"^number of transactions actually processed: (\d+)", done.stdout, re.MULTILINE
        )
        speed = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
        if done.returncode or count is None or speed is None:
            raise LoadFailed(f"pgbench ended with {done.returncode}: {done.stderr:.2000}")
        return Ran(float(speed[1]), spent * 1e6 / int(count[1]))

    def _cpu(self) -> float:
        """The seconds that PostgreSQL has taken, those of sessions that have ended included.

        macOS does not count those: there, only the API's columns say anything.
        """
        ended = self.postmaster.cpu_times()
        return sum(cpu(self.postmaster).values()) + ended.children_user + ended.children_system


def _one_message(sql: str) -> str:
    """Escape the semicolons, at which pgbench would end a message, and what is set with it."""
    settings, end, statement = sql.rpartition(";\n")
    return f"{settings}{end}".replace(";", r"\;") + statement


def measure(
    database: Database,
    server: Server,
    sizes: Sizes,
    *,
    rounds: int,
    seconds: float,
    until: Sequence[str],
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Each operation by pgbench and then by the API, with one client and with four."""
    requests = {name: raw_requests(calls) for name, calls in operations.calls(sizes).items()}
    scripts = {name: database.capture(query) for name, query in operations.queries(sizes).items()}
    scripts["create_message"] = _with_own_rows(scripts["create_message"], sizes)
    pairs: dict[tuple[str, int], list[Pair]] = {
        (name, clients): [] for name in scripts for clients in CLIENTS
    }
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        for (name, clients), its in pairs.items():
            direct = database.run(scripts[name], clients=clients, until=until)
            api = serving.measure(
                server, database.postmaster, requests[name], connections=clients, seconds=seconds
            )
            its.append((direct, api))
    return [_summary(name, clients, its) for (name, clients), its in pairs.items()]


def _summary(name: str, clients: int, its: Sequence[Pair]) -> dict[str, Any]:
    return {
        "operation": name,
        "clients": clients,
        "pgbench_per_second": round(median(direct.per_second for direct, _ in its), 1),
        "pgbench_database_cpu_us": round(median(direct.database_cpu for direct, _ in its), 1),
        "api_per_second": round(median(api.load.per_second for _, api in its), 1),
        "api_database_cpu_us": round(median(api.database_cpu for _, api in its), 1),
        "api_cpu_us": round(median(api.cpu for _, api in its), 1),
        "api_share": round(
            median(api.load.per_second / direct.per_second for direct, api in its), 3
        ),
        "database_share_of_cpu": round(
            median(api.database_cpu / api.both_cpu for _, api in its), 3
        ),
    }


def _with_own_rows(script: str, sizes: Sizes) -> str:
    """The statement with a new id for the message, and one of the conversations, each time."""
    conversation = row_id(SPREAD, sizes.spread_numbers[0])
    (message,) = set(re.findall(r"'([0-9a-f-]{36})'", script)) - {conversation}
    drawn = {message: message[:-12] + ":tail", conversation: conversation[:-5] + ":number"}
    for id_, template in drawn.items():
        script = script.replace(id_, template)
    first, last = sizes.spread_numbers[0], sizes.spread_numbers[-1]
    return (
        "\\set tail random(100000000000, 999999999999)\n"
        f"\\set number random({first}, {last})\n{script}"
    )
