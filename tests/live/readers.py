"""Many readers of one run in one event loop, which lose their connection at random and resume."""

import asyncio
import random
import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

_FRAME = re.compile(rb"id: (\d+)\nevent: ([^\n]*)\ndata: ([^\n]*)")
CONNECT_SECONDS = 0.1
"""The time between two attempts."""


class Reader:
    """A reader and what it has received, in the order of its arrival."""

    def __init__(
        self, run_id: str, token: str, nodes: Callable[[], Sequence[str]], chance: random.Random
    ) -> None:
        """`nodes` returns the URLs of the servers that may be running."""
        self.ids: list[int] = []
        self.data: list[bytes] = []
        self.connections = 0
        self._run_id = run_id
        self._token = token
        self._nodes = nodes
        self._chance = chance
        self._has_ended = False

    async def read(self, *, cuts: bool) -> None:
        """Read until the end of the run; with `cuts`, lose the connection now and then."""
        while not self._has_ended:
            try:
                await self._read_once(self._chance.randrange(200_000) if cuts else None)
            except OSError:
                await asyncio.sleep(CONNECT_SECONDS)

    async def _read_once(self, most: int | None) -> None:
        address = urlsplit(self._chance.choice(self._nodes()))
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            # HTTP/1.0, so that the body needs no decoding.
            writer.write(
                f"GET /runs/{self._run_id}/events/stream HTTP/1.0\r\n"
                f"Authorization: Bearer {self._token}\r\n"
                f"Last-Event-ID: {self.ids[-1] if self.ids else 0}\r\n\r\n".encode()
            )
            status = await reader.readline()
            if not status.startswith(b"HTTP/1.1 2"):  # 503: the database is away
                await asyncio.sleep(CONNECT_SECONDS)
                return
            self.connections += 1
            rest = b""
            while data := await reader.read(65_536):
                rest = self._take(rest + data)
                if most is not None and (most := most - len(data)) < 0:
                    return
        finally:
            writer.close()

    def _take(self, data: bytes) -> bytes:
        """Take the complete events in `data`, and return the rest."""
        *whole, rest = data.split(b"\n\n")
        for frame in whole:
            if (match := _FRAME.fullmatch(frame)) is not None:
                self.ids.append(int(match[1]))
                self.data.append(match[3])
                self._has_ended |= match[2] == b"run.ended"
        return rest
