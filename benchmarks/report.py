"""What the samples say: medians and quartiles, goals, and results.json."""

import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import quantiles
from typing import Any

import psutil
import psycopg2

from benchmarks.measure import Sample
from benchmarks.servers import OURS, PEERS
from benchmarks.workload import TITLES

PACKAGES = (
    "agent-api fastapi starlette pydantic connexion sqlalchemy psycopg2-binary asyncpg orjson "
    "jsonschema-rs uvicorn uvloop httptools pyjwt"
).split()
SERVERS = (OURS, *PEERS.values())

# The most that our server's CPU may be of another's.
GOALS = {
    "FastAPI sync": {"list_conversations": 0.35, "get_conversation": 0.35, "create_message": 0.45},
    "FastAPI async": {"list_conversations": 0.60, "get_conversation": 0.60, "create_message": 0.75},
    "the floor": {"list_conversations": 1.3, "get_conversation": 1.3, "create_message": 1.5},
}

Spread = dict[str, float]
Results = dict[str, Any]


def summarise(samples: Sequence[Sample]) -> dict[str, dict[str, dict[str, Spread]]]:
    """Return for each operation and server the spread of each figure, and of ours over its.

    A ratio is taken within a round, whose slices lie seconds apart: what else the machine does
    changes over minutes.
    """
    operations: dict[str, dict[str, dict[str, Spread]]] = {}
    for operation in TITLES:
        ours = _of(samples, operation, OURS)
        operations[operation] = {}
        for server in SERVERS:
            its = _of(samples, operation, server)
            pairs = list(zip(ours, its, strict=True))
            operations[operation][server] = {
                "cpu_us": _spread([sample.cpu for sample in its]),
                "database_cpu_us": _spread([sample.database_cpu for sample in its]),
                "per_second": _spread([sample.per_second for sample in its]),
                "p50_ms": _spread([sample.p50 / 1000 for sample in its]),
                "p95_ms": _spread([sample.p95 / 1000 for sample in its]),
                "p99_ms": _spread([sample.p99 / 1000 for sample in its]),
                "cpu_ratio": _spread([a.cpu / b.cpu for a, b in pairs]),
                "per_second_ratio": _spread([a.per_second / b.per_second for a, b in pairs]),
            }
    return operations


def _of(samples: Sequence[Sample], operation: str, server: str) -> list[Sample]:
    return [one for one in samples if (one.operation, one.server) == (operation, server)]


def _spread(values: list[float]) -> Spread:
    # A single round, of the short form, is its own quartiles.
    cuts = quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return dict(zip(("q1", "median", "q3"), (round(cut, 4) for cut in cuts), strict=True))


def make_results(samples: Sequence[Sample], url: str, **settings: Any) -> Results:
    """Return all that results.json holds."""
    return about(url, PACKAGES) | {"settings": settings, "operations": summarise(samples)}


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
    """Print the tables."""
    say(
        "\nServer CPU a request, and our server's as a share of it: median (quartiles) of the "
        "rounds.\nBelow 1 our server takes less."
    )
    for operation, servers in results["operations"].items():
        say(f"\n{TITLES[operation]}")
        say(
            f"  {'':16}{'CPU, us':>8}  {'ours / its':^19}{'req/s':>7}  {'ours / its':^19}"
            f"{'p50':>7}{'p95':>7}{'p99 ms':>8}{'PostgreSQL, us':>16}"
        )
        for name, its in servers.items():
            latencies = [f"{its[f'p{p}_ms']['median']:.1f}" for p in (50, 95, 99)]
            say(
                f"  {name:16}{its['cpu_us']['median']:8.0f}  {_share(its['cpu_ratio']):^19}"
                f"{its['per_second']['median']:7.0f}  {_share(its['per_second_ratio']):^19}"
                f"{latencies[0]:>7}{latencies[1]:>7}{latencies[2]:>8}"
                f"{its['database_cpu_us']['median']:16.0f}"
            )


def tell_goals(results: Results, say: Callable[[str], None]) -> None:
    """Print which goals are met, and by how much the others are missed."""
    say("\nGoals for our server's share of the CPU")
    for line in _goals(results):
        say(f"  {line}")


def _share(spread: Spread) -> str:
    return f"{spread['median']:.2f} ({spread['q1']:.2f}-{spread['q3']:.2f})"


def _goals(results: Results) -> Iterator[str]:
    for server, goals in GOALS.items():
        for operation, goal in goals.items():
            share = results["operations"][operation][server]["cpu_ratio"]["median"]
            state = "met" if share <= goal else f"missed by {share - goal:.2f}"
            yield f"{server:14} {TITLES[operation]:38} at most {goal:.2f}: {share:.2f}, {state}"
