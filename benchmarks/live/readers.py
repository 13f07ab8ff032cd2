"""Processes that follow streams, and what they report together."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

from benchmarks.live import reader, rows
from benchmarks.live.reader import Arrival
from benchmarks.load import LoadFailed

PROCESSES = 2
SECONDS_TO_OPEN = 180
SECONDS_TO_ARRIVE = 60


class Readers:
    """Open streams, over all processes."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes
        self.open = 0

    def arrivals(self) -> list[Arrival]:
        """Return what has arrived since the last call. Raises LoadFailed if a stream ended."""
        found: list[Arrival] = []
        self.open = 0
        for pipe in self._pipes:
            pipe.send(None)
        for pipe in self._pipes:
            report: reader.Report = pipe.recv()
            if report.error is not None:
                raise LoadFailed(report.error)
            self.open += report.open
            found += report.arrivals
        return found

    def collect(self, count: int) -> list[Arrival]:
        """Wait until so many events have arrived. Raises LoadFailed."""
        found: list[Arrival] = []
        self._until(lambda: len(found) >= count, SECONDS_TO_ARRIVE, found)
        return found

    def wait_until_open(self, count: int) -> None:
        """Wait until so many streams are open. Raises LoadFailed."""
        self._until(lambda: self.open >= count, SECONDS_TO_OPEN, [])

    def _until(self, done: Callable[[], bool], seconds: float, found: list[Arrival]) -> None:
        deadline = time.monotonic() + seconds
        while True:
            found += self.arrivals()
            if done():
                return
            if time.monotonic() > deadline:
                raise LoadFailed(f"{self.open} streams are open, {len(found)} events have arrived")
            time.sleep(0.1)


@contextmanager
def following(port: int, url: str, runs: Sequence[int]) -> Iterator[Readers]:
    """Follow each run, from its end, as often as `runs` names it, until the block ends."""
    ends = rows.positions(url)
    context = multiprocessing.get_context("spawn")
    processes, pipes = [], []
    try:
        for number in range(PROCESSES):
            its = runs[number::PROCESSES]
            ours, theirs = context.Pipe()
            process = context.Process(
                target=reader.main, args=(theirs, port, its, rows.follow(its, ends)), daemon=True
            )
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(ours)
        readers = Readers(pipes)
        readers.wait_until_open(len(runs))
        yield readers
    finally:
        for pipe in pipes:
            pipe.close()
        for process in processes:
            process.join(30)
            process.kill()
