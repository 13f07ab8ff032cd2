"""The load: any number of connections, each of which asks again as soon as it has its answer.

Bounded by requests or by seconds, which wrk is not, and with as few connections as one.
"""

import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.load import LoadFailed

SECONDS_WITHOUT_ANSWER = 30
NO_END = 10**12


@dataclass(frozen=True)
class Load:
    """What was answered, all of it with 2xx; latencies in microseconds, in order of size."""

    answered: int
    seconds: float
    latencies: list[float]

    @property
    def per_second(self) -> float:
        return self.answered / self.seconds

    def quantile(self, share: float) -> float:
        return self.latencies[int(share * (len(self.latencies) - 1))]


@dataclass
class _Connection:
    socket: socket.socket
    asked: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    length: int = 0
    """Of the whole answer, head included; 0 until the head is there."""


def run(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    seconds: float = NO_END,
    count: int = NO_END,
) -> Load:
    """Send the requests in turn until the time is over or so many are sent; raises LoadFailed.

    What is under way at the end is waited for, so what was sent is what was answered.
    """
    latencies: list[float] = []
    started = time.perf_counter()
    deadline = started + seconds
    sent = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(min(connections, count)):
            one = _Connection(socket.create_connection(("127.0.0.1", port)))
            one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(one.socket, selectors.EVENT_READ, one)
            _ask(one, requests[sent % len(requests)])
            sent += 1
        while selector.get_map():
            for one in _ready(selector):
                if not _receive(one):
                    continue
                now = time.perf_counter()
                latencies.append((now - one.asked) * 1e6)
                if now < deadline and sent < count:
                    _ask(one, requests[sent % len(requests)])
                    sent += 1
                else:
                    selector.unregister(one.socket)
                    one.socket.close()
    return Load(len(latencies), time.perf_counter() - started, sorted(latencies))


def ask(port: int, request: bytes) -> bytes:
    """The body of one answer; raises LoadFailed."""
    with connected(port) as send:
        return send(request)


@contextmanager
def connected(port: int) -> Iterator[Callable[[bytes], bytes]]:
    """Yield a function that returns the body of the answer to a request, or raises LoadFailed."""
    one = _Connection(socket.create_connection(("127.0.0.1", port), SECONDS_WITHOUT_ANSWER))
    one.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(request: bytes) -> bytes:
        _ask(one, request)
        while not _receive(one):
            pass
        return bytes(one.received).partition(b"\r\n\r\n")[2]

    with one.socket:
        yield send


def _ready(selector: selectors.BaseSelector) -> Iterator[_Connection]:
    events = selector.select(SECONDS_WITHOUT_ANSWER)
    if not events:
        raise LoadFailed(f"no answer for {SECONDS_WITHOUT_ANSWER} seconds")
    for key, _ in events:
        yield key.data


def _ask(one: _Connection, request: bytes) -> None:
    one.received.clear()
    one.length = 0
    one.asked = time.perf_counter()
    one.socket.sendall(request)


def _receive(one: _Connection) -> bool:
    """Take what has come; tell whether the answer is whole. Raises LoadFailed for a bad one."""
    some = one.socket.recv(1 << 18)
    if not some:
        raise LoadFailed(f"the connection ended after {bytes(one.received)!r:.300}")
    one.received += some
    if not one.length:
        end = one.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        one.length = end + 4 + _announced(bytes(one.received[:end]).lower())
    if len(one.received) < one.length:
        return False
    if one.received[9:10] != b"2":
        raise LoadFailed(f"an answer other than 2xx: {bytes(one.received).decode()[:1000]}")
    return True


def _announced(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    raise LoadFailed("an answer without Content-Length")
