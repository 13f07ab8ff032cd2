"""Streams, without a server: what they read while nothing happens."""

import asyncio
import time

import pytest

from agent_api.auth.principal import Principal
from agent_api.live import streams
from agent_api.live.hub import TICK_SECONDS, Hub
from agent_api.live.streams import EventStream, Feed, Piece

NOTHING = Piece(b"", 0, has_more=False, is_last=False, value=(0, 0))


def test_keep_alive_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "KEEP_ALIVE_SECONDS", TICK_SECONDS)
    reads: list[int] = []

    def read(position: int) -> Piece:
        reads.append(position)
        return NOTHING

    async def story() -> list[bytes]:
        stream = open_stream(Feed(("run", "1", "user"), "event", read))
        pieces = [await anext(stream) for _ in range(4)]
        await stream.aclose()
        return pieces

    pieces = asyncio.run(story())

    assert pieces[1:] == [b": keep-alive\n\n"] * 3
    assert reads == [0]


def test_stopping_ends_a_stream_that_waits() -> None:
    async def story() -> list[bytes]:
        stream = open_stream(Feed(("run", "1", "user"), "event", lambda _position: NOTHING))
        await anext(stream)
        asyncio.get_running_loop().call_later(TICK_SECONDS, stream.stop)
        async with asyncio.timeout(5):
            return [piece async for piece in stream]

    assert len(asyncio.run(story())) <= 1


def test_stopping_ends_a_stream_that_reads() -> None:
    async def story() -> list[bytes]:
        def read(_position: int) -> Piece:
            stream.stop()
            return NOTHING

        stream = open_stream(Feed(("run", "1", "user"), "event", read))
        async with asyncio.timeout(5):
            return [piece async for piece in stream]

    assert len(asyncio.run(story())) <= 2


def open_stream(feed: Feed) -> EventStream:
    hub = Hub(lambda _names: {}, max_streams=1, max_streams_per_user=1)
    principal = Principal("alice", scopes=frozenset(), expires_at=time.time() + 60)
    return EventStream(hub, feed, principal, 0)
