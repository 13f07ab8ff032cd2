"""The load: 16 connections, each of which asks again as soon as it has its answer."""

import asyncio
import json
import math
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 16
SCRIPT = Path(__file__).with_name("wrk.lua")
HOW_TO_GET_WRK = "wrk is missing (Debian: apt-get install wrk): the load comes from Python instead."


@dataclass(frozen=True)
class Load:
    """What a client saw: counts, seconds, and latencies in microseconds."""

    sent: int
    answered: int
    seconds: float
    failed: int
    p50: float
    p95: float
    p99: float


class LoadFailed(Exception):
    """Some request had another answer than 2xx, or none."""


class Client:
    """Sends the requests of a list in turn, for some seconds: by wrk, or without it by itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wrk = shutil.which("wrk")

    @property
    def name(self) -> str:
        return "wrk" if self._wrk else "Python"

    def run(self, port: int, requests: list[bytes], seconds: float, what: str) -> Load:
        """Load one server; raises LoadFailed, with `what` the load is.

        Again and for longer where a slow server on a busy machine answered nothing at all.
        """
        load = self._once(port, requests, seconds)
        for longer in (10, 100):
            if not load.failed and not load.answered:
                load = self._once(port, requests, seconds * longer)
        if load.failed or not load.answered:
            raise LoadFailed(f"{what}: {load.failed} of {load.sent} requests failed")
        return load

    def _once(self, port: int, requests: list[bytes], seconds: float) -> Load:
        if self._wrk is None:
            return asyncio.run(_run_in_python(port, requests, seconds))
        return self._run_wrk(self._wrk, port, requests, seconds)

    def _run_wrk(self, wrk: str, port: int, requests: list[bytes], seconds: float) -> Load:
        file = self._folder / "requests"
        file.write_bytes(b"".join(b"%d\n%s\n" % (len(one), one) for one in requests))
        command = [wrk, "-t", "1", "-c", str(CONNECTIONS), "--timeout", "10s"]
        # It counts whole seconds; interrupted, it ends in order.
        command += ["-d", f"{math.ceil(seconds) + 5}s", "-s", str(SCRIPT)]
        command += [f"http://127.0.0.1:{port}/", "--", str(file)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            time.sleep(seconds)
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=30)
        finally:
            process.kill()
            process.wait()
        lines = output.decode().strip().splitlines()
        if process.returncode != 0 or not lines or not lines[-1].startswith("{"):
            raise LoadFailed(f"wrk ended with {process.returncode}:\n{output.decode()}")
        return Load(**json.loads(lines[-1]))


async def _run_in_python(port: int, requests: list[bytes], seconds: float) -> Load:
    started = time.monotonic()
    deadline = started + seconds
    latencies: list[float] = []
    failed = 0

    async def one_connection(number: int) -> None:
        nonlocal failed
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < deadline:
            asked = time.monotonic()
            writer.write(requests[number % len(requests)])
            number += CONNECTIONS
            head = await reader.readuntil(b"\r\n\r\n")
            status, length = _read_head(head)
            await reader.readexactly(length)
            latencies.append((time.monotonic() - asked) * 1e6)
            failed += not 200 <= status < 300
        writer.close()
        await writer.wait_closed()

    async with asyncio.timeout(seconds + 30):
        await asyncio.gather(*(one_connection(number) for number in range(CONNECTIONS)))
    latencies.sort()
    quantile = (latencies[int(share * (len(latencies) - 1))] for share in (0.5, 0.95, 0.99))
    count = len(latencies)
    return Load(count, count, time.monotonic() - started, failed, *quantile)


def _read_head(head: bytes) -> tuple[int, int]:
    """The status of an answer, and the length that it has to announce."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(head[9:12]), int(value)
    raise LoadFailed("an answer without Content-Length")
