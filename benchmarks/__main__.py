"""Runs the benchmark: a database of its own, the rows, the servers, the check, the rounds."""

import argparse
import sys
import time
from pathlib import Path

import orjson

from benchmarks import check, data, load, measure, place, report, servers, workload
from benchmarks.chart import draw

HERE = Path(__file__).parent
POOL_SIZE = 10
QUICK_SECONDS = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="prove that it works, with few rows, in about a minute; the figures mean nothing",
    )
    parser.add_argument("--runs", type=int, default=3, help="each with newly started servers")
    parser.add_argument("--rounds", type=int, default=5, help="of a run")
    parser.add_argument("--seconds", type=float, default=1.5, help="of a slice")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the two files")
    given = parser.parse_args()
    if given.quick:
        given.runs, given.rounds, given.seconds = 1, 1, QUICK_SECONDS
    size = data.SMALL if given.quick else data.FULL
    try:
        with place.folder() as folder, place.database(folder) as url:
            results = _measure(
                folder, url, size, runs=given.runs, rounds=given.rounds, seconds=given.seconds
            )
    except (check.NotEqual, load.LoadFailed, servers.NotStarted) as error:
        sys.exit(f"The benchmark failed: {error}")
    report.tell(results, place.say)
    if not given.quick:
        report.tell_goals(results, place.say)
        (given.output / "results.json").write_bytes(
            orjson.dumps(results, option=orjson.OPT_INDENT_2) + b"\n"
        )
        (given.output / "chart.svg").write_text(draw(results), "utf-8")


def _measure(
    folder: Path, url: str, size: data.Size, *, runs: int, rounds: int, seconds: float
) -> report.Results:
    client = load.Client(folder)
    if client.name != "wrk":
        place.say(load.HOW_TO_GET_WRK)
    place.say(f"Filling the database with {size.total:,} messages")
    started = time.monotonic()
    data.fill(url, size, place.say)
    place.say(f"  {time.monotonic() - started:.0f} s")
    calls = workload.make(url)
    postmaster = measure.find_postmaster(url)
    samples: list[measure.Sample] = []
    for run in range(runs):
        with servers.start_all(url, folder, POOL_SIZE) as running:
            count = check.check_all(running, calls)
            place.say(f"All {len(running)} servers gave the same {count} answers")
            measure.warm_up(client, running, calls, seconds / 2)
            samples += measure.measure(
                client,
                running,
                calls,
                postmaster,
                run=run,
                rounds=rounds,
                seconds=seconds,
                say=place.say,
            )
    return report.make_results(
        samples,
        url,
        client=client.name,
        connections=load.CONNECTIONS,
        pool_size=POOL_SIZE,
        runs=runs,
        rounds=rounds,
        seconds=seconds,
        messages=size.total,
    )


if __name__ == "__main__":
    main()
