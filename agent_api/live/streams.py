"""Sends feeds to clients as Server-Sent Events.

https://html.spec.whatwg.org/multipage/server-sent-events.html defines the format.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable
from functools import partial
from typing import NamedTuple

from agent_api.auth.principal import Principal
from agent_api.http.responses import Response
from agent_api.live import hub as hubs
from agent_api.live.hub import RETRY_SECONDS, Hub, Name
from agent_api.live.topic import Value, Waiter
from db.engine import bridge
from db.errors import Denied, Missing, PositionExpired, Timeout, Unavailable

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE_SECONDS = 15
"""Proxies close connections that are silent for longer, many after 60 seconds."""
SLICE_BYTES = 64 * 1024
"""What is written at once: the transport keeps it until the client reads."""
_KEEP_ALIVE = b": keep-alive\n\n"
_START = b"retry: 1000\n\n"
"""How many milliseconds an EventSource waits before it connects again."""
_HEADERS = {
    "X-Accel-Buffering": "no",  # nginx would keep events back
    "Cache-Control": "no-store, no-transform",  # a proxy that compresses keeps events back, too
}


class Piece(NamedTuple):
    """The frames that a read has found after a position."""

    frames: bytes
    position: int
    """The position of the last frame."""
    has_more: bool
    is_last: bool
    """Whether nothing will follow."""
    value: Value
    """How far the topic was at the time of the read."""
    written_at: str = ""
    """The time of the last frame; empty without frames."""


class Feed(NamedTuple):
    """What a stream reads: the events of a run, or the changes of a user."""

    topic: Name
    key: Hashable
    """Equal for feeds whose pieces are equal."""
    read: Callable[[int], Piece]
    """Returns what follows a position; it may wait for the database."""
    starts_with_position: bool = False
    """Whether the client may not know the position at which the stream starts."""


class EventStream:
    """The body of a response that follows a feed. It counts as a stream until it is closed.

    A process has thousands of these, so they are small. What a waiting stream does not need, such
    as the last piece, must not stay in the frame of `_frames`.
    """

    __slots__ = ("_feed", "_frames", "_hub", "_is_closed", "_principal", "_topic", "_waiter")

    def __init__(self, hub: Hub, feed: Feed, principal: Principal, position: int) -> None:
        hub.check_open()
        hub.streams.take(principal.caller_id)
        self._hub = hub
        self._feed = feed
        self._principal = principal
        self._topic = hub.subscribe(feed.topic)
        self._waiter: Waiter | None = None
        self._is_closed = False
        self._frames = self._follow(position)

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Return the iterator over the pieces of the body."""
        return self._frames

    def __anext__(self) -> Awaitable[bytes]:
        """Return the next piece when there is one."""
        return self._frames.__anext__()

    def stop(self) -> None:
        """End the stream, and stop counting it. Only the first call has an effect."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._waiter is not None:
            self._topic.forget(self._waiter)
        self._hub.unsubscribe(self._feed.topic)
        self._hub.streams.free(self._principal.caller_id)

    async def aclose(self) -> None:
        """Stop, and end the iterator."""
        self.stop()
        await self._frames.aclose()

    async def _follow(self, position: int) -> AsyncGenerator[bytes]:
        """Yield frames until nothing follows, the token expires or the server stops."""
        topic, feed = self._topic, self._feed
        yield b"id: %d\n%s" % (position, _START) if feed.starts_with_position else _START
        has_waited = False
        while not self._is_over():
            version = topic.version
            try:
                piece = await topic.read(
                    (feed.key, position, version), partial(bridge.run, feed.read, position)
                )
            except (Missing, Denied, PositionExpired):  # the client learns it when it reconnects
                return
            except (Unavailable, Timeout):
                yield _KEEP_ALIVE
                await asyncio.sleep(RETRY_SECONDS)
                continue
            frames, position, has_more, is_last, value, written_at = piece
            del piece
            topic.update(value)
            if frames:
                if has_waited:
                    self._hub.observe_delivery(written_at)
                for start in range(0, len(frames), SLICE_BYTES):
                    yield frames[start : start + SLICE_BYTES]
            del frames
            if is_last:
                return
            if has_more:
                continue
            has_waited = True
            while not self._is_over():
                if await self._wait(version, value):
                    break
                yield _KEEP_ALIVE

    def _is_over(self) -> bool:
        expires_at = self._principal.expires_at
        return self._is_closed or self._hub.is_closing or time.time() >= expires_at

    def _wait(self, version: int, seen: Value) -> Waiter:
        seconds = min(KEEP_ALIVE_SECONDS, self._principal.expires_at - time.time())
        until = asyncio.get_running_loop().time() + seconds
        self._waiter = self._topic.waiter(version, seen, until)
        return self._waiter


def follow(feed: Feed, principal: Principal, *, after: int) -> Response:
    """Return a response with everything in the feed after a position.

    Raises TooManyStreams, and Unavailable if the process has too many or is stopping.
    """
    body = EventStream(hubs.current.get(), feed, principal, after)
    return Response(200, body, dict(_HEADERS), MEDIA_TYPE)
