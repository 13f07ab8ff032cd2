"""How late events reach their readers, and what readers cost, without events and with some."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import orjson
import psutil

from benchmarks.growth import client
from benchmarks.live import resources, rows
from benchmarks.live.readers import following
from benchmarks.servers import Server

RUNS = 100
PER_SECOND = 50
"""Events that are appended, each by a request of its own, to one run after another."""


@dataclass(frozen=True)
class Case:
    """Where events are appended, and where they are read."""

    writer: Server
    reader: Server


@dataclass(frozen=True)
class _Sample:
    waiting: resources.Used
    writing: resources.Used
    delays: list[float]
    """Milliseconds from the response of the append to the arrival, in order of size."""


def measure(
    cases: Mapping[str, Case],
    postmaster: psutil.Process,
    url: str,
    *,
    readers: int,
    rounds: int,
    settle: float,
    seconds: float,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure the cases in turn. Raises LoadFailed, also if an event does not arrive."""
    samples: dict[str, list[_Sample]] = {name: [] for name in cases}
    for number in range(rounds):
        say(f"  round {number + 1} of {rounds}")
        for name, case in cases.items():
            samples[name].append(_sample(case, postmaster, url, readers, settle, seconds))
    return [_summary(name, readers, its) for name, its in samples.items()]


def _sample(
    case: Case,
    postmaster: psutil.Process,
    url: str,
    readers: int,
    settle: float,
    seconds: float,
) -> _Sample:
    runs = [number % RUNS for number in range(readers)]
    with following(case.reader.port, url, runs) as followed:
        time.sleep(settle)
        meter = resources.Meter(case.reader, postmaster, url)
        time.sleep(seconds)
        waiting = meter.read()
        meter = resources.Meter(case.reader, postmaster, url)
        answered = _append(case.writer.port, seconds)
        writing = meter.read()
        arrivals = followed.collect(len(answered) * readers // RUNS)
    delays = sorted((at - answered[run, sequence]) * 1000 for run, sequence, at in arrivals)
    return _Sample(waiting, writing, delays)


def _append(port: int, seconds: float) -> dict[tuple[int, int], float]:
    """Return when the append of each event was answered, by the numbers of run and event."""
    pause = random.Random(20260105)
    requests = rows.append(range(RUNS))
    answered = {}
    number = 0
    now = time.monotonic()
    end, due = now + seconds, now
    with client.connected(port) as send:
        while due < end:
            time.sleep(max(due - time.monotonic(), 0))
            run = number % RUNS
            numbers = orjson.loads(send(requests[run]))
            answered[run, numbers["last_sequence"]] = time.monotonic()
            number += 1
            due += pause.uniform(0, 2 / PER_SECOND)  # independent of the time between polls
    return answered


def _summary(name: str, readers: int, its: list[_Sample]) -> dict[str, Any]:
    def middle(value: Callable[[_Sample], float]) -> float:
        return round(median(map(value, its)), 1)

    return {
        "case": name,
        "readers": readers,
        "p50_ms": middle(lambda one: one.delays[len(one.delays) // 2]),
        "p99_ms": middle(lambda one: one.delays[int(0.99 * (len(one.delays) - 1))]),
        "waiting_cpu_ms": middle(lambda one: one.waiting.cpu_ms),
        "waiting_database_cpu_ms": middle(lambda one: one.waiting.database_cpu_ms),
        "waiting_statements": middle(lambda one: one.waiting.statements),
        "writing_cpu_ms": middle(lambda one: one.writing.cpu_ms),
        "writing_database_cpu_ms": middle(lambda one: one.writing.database_cpu_ms),
    }
