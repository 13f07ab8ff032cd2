"""Measures streams: on a database of its own, one thing after another."""

import argparse
import resource
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks import place, report, servers
from benchmarks.growth.tables import table
from benchmarks.live import cost, latency, rows, serving, throughput, waiting
from benchmarks.live.chart import draw
from benchmarks.load import LoadFailed
from benchmarks.measure import find_postmaster

HERE = Path(__file__).parent.parent
PACKAGES = "agent-api uvicorn uvloop httptools psycopg2-binary fastapi starlette asyncpg".split()
RESERVED_DESCRIPTORS = 512
"""What a server needs besides those of its streams."""

HEADS = {
    "waiting": (
        "Streams of as many runs while nothing happens: CPU in ms per second, statements per\n"
        "second, kB of a stream; PostgreSQL's memory without what its processes share"
    ),
    "latency": (
        "From the response of an append to the arrival at the readers of 100 runs; CPU in ms per\n"
        "second of the server with the readers and of PostgreSQL, while nothing happens and while\n"
        f"{latency.PER_SECOND} events per second are appended"
    ),
    "throughput": "Batches of events through one worker; CPU in us, readers included",
    "cost": "CPU of a request in us, and server and PostgreSQL as a multiple of create_message",
}


@dataclass(frozen=True)
class Plan:
    """How much of everything: streams, readers, rounds, seconds of a slice."""

    streams: int
    settle: float
    """Seconds after opening streams, in which PostgreSQL counts what they have sent so far."""
    waiting_seconds: float
    readers: int
    rounds: int
    seconds: float
    cost_rounds: int
    cost_seconds: float


FULL = Plan(10_000, 11, 20, 1000, 3, 6, 10, 2)
QUICK = Plan(200, 0.5, 1, 100, 1, 1, 1, 1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="prove that it works, with few streams, in half a minute; the figures mean nothing",
    )
    parser.add_argument("--streams", type=int, help="that wait, at most 10,000 by default")
    parser.add_argument(
        "--only", choices=HEADS, action="append", help="leave out the rest, and write no files"
    )
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the two files")
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    plan = replace(plan, streams=_possible(given.streams or plan.streams))
    try:
        with place.folder() as folder, place.database(folder) as url:
            results = _run(folder, url, plan, given.only or list(HEADS))
    except (LoadFailed, servers.NotStarted) as error:
        sys.exit(f"The benchmark failed: {error}")
    for name, head in HEADS.items():
        if name in results:
            place.say(f"\n{head}")
            table(results[name], place.say)
    if not given.quick and not given.only:
        (given.output / "live.json").write_bytes(
            orjson.dumps(results, option=orjson.OPT_INDENT_2) + b"\n"
        )
        (given.output / "live.svg").write_text(draw(results), "utf-8")


def _possible(streams: int) -> int:
    """Return how many streams a process has file descriptors for, at most `streams`."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    if limit == resource.RLIM_INFINITY:
        return streams
    return min(streams, limit - RESERVED_DESCRIPTORS)


def _run(folder: Path, url: str, plan: Plan, names: list[str]) -> dict[str, Any]:
    rows.fill(url, runs=max(plan.streams, latency.RUNS), conversations=cost.ROWS)
    postmaster = find_postmaster(url)
    results = report.about(url, PACKAGES) | {"load_average": psutil.getloadavg()}
    results["settings"] = {"rounds": plan.rounds, "seconds": plan.seconds}
    streams = plan.streams + RESERVED_DESCRIPTORS
    slices: dict[str, Any] = {
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "say": place.say,
    }
    if "waiting" in names:
        place.say("Waiting")
        with serving.serve(url, folder, "waiting", max_streams=streams) as server:
            results["waiting"] = waiting.measure(
                server,
                postmaster,
                url,
                counts=(plan.streams // 10, plan.streams),
                settle=plan.settle,
                seconds=plan.waiting_seconds,
                say=place.say,
            )
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(serving.serve(url, folder, name, max_streams=streams))
            for name in ("one", "other")
        )
        if "latency" in names:
            place.say("Latency")
            peer = stack.enter_context(serving.serve_peer(url, folder))
            results["latency"] = latency.measure(
                {
                    "one worker": latency.Case(writer=one, reader=one),
                    "two workers": latency.Case(writer=other, reader=one),
                    "FastAPI that polls": latency.Case(writer=other, reader=peer),
                },
                postmaster,
                url,
                readers=plan.readers,
                settle=plan.settle,
                **slices,
            )
        if "throughput" in names:
            place.say("Throughput")
            results["throughput"] = throughput.measure(
                one,
                postmaster,
                url,
                readers=(0, latency.RUNS, plan.readers),
                **slices,
            )
        if "cost" in names:
            place.say("Cost")
            results["cost"] = cost.measure(
                one,
                postmaster,
                rounds=plan.cost_rounds,
                seconds=plan.cost_seconds,
                say=place.say,
            )
    return results


if __name__ == "__main__":
    main()
