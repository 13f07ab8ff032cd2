"""Sends what a client follows as Server-Sent Events.

https://html.spec.whatwg.org/multipage/server-sent-events.html defines the format.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import ExitStack
from datetime import datetime
from typing import NamedTuple, Self

from agent_api.auth.principal import Principal
from agent_api.http.responses import Response
from agent_api.live import hub as hubs
from agent_api.live.hub import RETRY_SECONDS, Hub, Name
from agent_api.live.topic import Topic, Value
from db.engine import bridge
from db.errors import Denied, Missing, PositionExpired, Timeout, Unavailable

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE_SECONDS = 15
"""Proxies close connections that are silent for longer, many after 60 seconds."""
_KEEP_ALIVE = b": keep-alive\n\n"
_START = b"retry: 1000\n\n"
"""How many milliseconds an EventSource waits before it connects again."""
_HEADERS = {
    "X-Accel-Buffering": "no",  # nginx would keep events back
    "Cache-Control": "no-store, no-transform",  # a proxy that compresses keeps events back, too
}


class Piece(NamedTuple):
    """What a read has found after a position."""

    frames: bytes
    position: int
    """The position of the last frame."""
    has_more: bool
    is_last: bool
    """Whether nothing will follow."""
    value: Value
    """How far the topic was at the time of the read."""
    written_at: str = ""
    """The time of the last frame."""


class Feed(NamedTuple):
    """What a client follows."""

    topic: Name
    key: Hashable
    """Equal for feeds whose pieces are equal."""
    read: Callable[[int], Piece]
    """Returns what follows a position; it may wait for the database."""
    starts_with_position: bool = False
    """Whether the stream starts with its position, for clients that have none yet."""


class EventStream:
    """The body of a response that follows a feed. It counts as a stream until it is closed."""

    def __init__(self, hub: Hub, feed: Feed, principal: Principal, position: int) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(hub.stream_of(principal.user_id))
        topic = self._stack.enter_context(hub.topic(feed.topic))
        self._frames = _frames(hub, topic, feed, position, principal.expires_at)

    def __aiter__(self) -> Self:
        """Return the iterator over the pieces of the body."""
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece when there is one."""
        return await anext(self._frames)

    async def aclose(self) -> None:
        """Close the stream. Only the first call has an effect."""
        self._stack.close()
        await self._frames.aclose()


def follow(feed: Feed, principal: Principal, *, after: int) -> Response:
    """Return a response with everything in the feed after a position.

    Raises TooManyStreams, and Unavailable if the process has too many or is stopping.
    """
    body = EventStream(hubs.current.get(), feed, principal, after)
    return Response(200, body, dict(_HEADERS), MEDIA_TYPE)


async def _frames(
    hub: Hub, topic: Topic, feed: Feed, position: int, expires_at: float
) -> AsyncGenerator[bytes]:
    """Yield frames until nothing follows, the token expires or the server stops."""
    has_waited = False
    yield b"id: %d\n%s" % (position, _START) if feed.starts_with_position else _START
    while not hub.is_closing and time.time() < expires_at:
        version = topic.version

        def read(position: int = position) -> Piece:
            return feed.read(position)

        try:
            piece = await topic.read((feed.key, position, version), lambda: bridge.run(read))
        except (Missing, Denied, PositionExpired):
            return
        except (Unavailable, Timeout):
            yield _KEEP_ALIVE
            await asyncio.sleep(RETRY_SECONDS)
            continue
        topic.update(piece.value)
        if piece.frames:
            if has_waited and hub.hooks is not None:
                written = datetime.fromisoformat(piece.written_at).timestamp()
                hub.hooks.on_delivery(max(0.0, time.time() - written))
            yield piece.frames
            position = piece.position
        if piece.is_last:
            return
        if piece.has_more:
            continue
        has_waited = True
        while not hub.is_closing and (left := expires_at - time.time()) > 0:
            if await topic.wait(version, piece.value, min(KEEP_ALIVE_SECONDS, left)):
                break
            yield _KEEP_ALIVE  # the poll would have found what is new, so do not read
