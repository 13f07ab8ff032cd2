"""A process that follows many streams and notes when each event arrives.

It speaks HTTP on bare sockets and looks only for the numbers of events, so that it takes little of
the machine that it shares with the server.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import NamedTuple

START = b"retry: "
OPENING = 64
"""The number of streams that are opened at a time."""
_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)

Arrival = tuple[int, int, float]
"""The number of a run, the number of its event, and the time of the monotonic clock."""


class Report(NamedTuple):
    """What has happened since the last report, and the number of streams that are open."""

    open: int
    arrivals: list[Arrival]
    error: str | None


class _Reader:
    def __init__(self) -> None:
        self.open = 0
        self.arrivals: list[Arrival] = []
        self.error: str | None = None

    def report(self) -> Report:
        arrivals, self.arrivals = self.arrivals, []
        return Report(self.open, arrivals, self.error)


class _Stream(asyncio.Protocol):
    __slots__ = ("_reader", "_request", "_rest", "_run", "started")

    def __init__(self, reader: _Reader, run: int, request: bytes) -> None:
        self._reader = reader
        self._run = run
        self._request = request
        self._rest = b""
        self.started: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        for sequence in _ID.findall(whole):
            self._reader.arrivals.append((self._run, int(sequence), now))
        if self.started is not None and START in whole + newline:
            self._reader.open += 1
            self.started.set_result(None)
            self.started = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._reader.error = f"a stream ended: {exc or self._rest!r}"
        if self.started is None:
            self._reader.open -= 1
        else:
            self.started.set_exception(ConnectionError(self._reader.error))


def main(pipe: Connection, port: int, runs: Sequence[int], requests: Sequence[bytes]) -> None:
    """Open a stream for each request, and send a report for each thing that the pipe receives."""
    asyncio.run(_follow(pipe, port, runs, requests))


async def _follow(
    pipe: Connection, port: int, runs: Sequence[int], requests: Sequence[bytes]
) -> None:
    reader = _Reader()
    loop = asyncio.get_running_loop()
    end = loop.create_future()

    def answer() -> None:
        try:
            pipe.recv()
            pipe.send(reader.report())
        except (EOFError, OSError):
            loop.remove_reader(pipe.fileno())
            end.set_result(None)

    loop.add_reader(pipe.fileno(), answer)
    turns = asyncio.Semaphore(OPENING)

    async def open_one(run: int, request: bytes) -> None:
        async with turns:
            _, stream = await loop.create_connection(
                lambda: _Stream(reader, run, request), "127.0.0.1", port
            )
            if stream.started is not None:
                await stream.started

    opened = asyncio.gather(
        *(open_one(run, request) for run, request in zip(runs, requests, strict=True))
    )
    try:
        await opened
    except OSError as error:
        reader.error = str(error)
    await end
