"""Wakes the streams of a process when what they follow has changed."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from contextvars import Context, ContextVar
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

from agent_api.http import request_context
from agent_api.http.problems import TooManyStreams, Unavailable
from agent_api.http.request_context import ClientDisconnected
from agent_api.live.topic import Topic, Value
from db.engine import bridge
from db.errors import Failure, Refused

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.12
"""The time between two polls: half of the events of other processes arrive within 100 ms."""
BATCH = 1000
"""The number of topics that one poll asks for."""
RETRY_SECONDS = 1


class StreamHooks(NamedTuple):
    """What metrics observe."""

    on_open: Callable[[int], None]
    """Called with the change of the number of open streams."""
    on_delivery: Callable[[float], None]
    """Called with the seconds from the write of an event until a waiting stream delivers it."""


Name = tuple[str, ...]
"""A topic's kind, id and owner, as `db.engine.on_commit` announces it."""
Poll = Callable[[Sequence[Name]], Mapping[Name, Value]]


class Hub:
    """The topics that a process waits for, and the number of its open streams."""

    def __init__(
        self,
        poll: Poll,
        *,
        max_streams: int,
        max_streams_per_user: int,
        hooks: StreamHooks | None = None,
    ) -> None:
        """`poll` reads the values of topics from the database; it may wait."""
        self.hooks = hooks
        self._poll = poll
        self._max_streams = max_streams
        self._max_streams_per_user = max_streams_per_user
        self._topics: dict[Name, Topic] = {}
        self._streams: Counter[str] = Counter()
        self._open = 0
        self._poller: asyncio.Task[None] | None = None
        self.is_closing = False

    def add_stream(self, user_id: str) -> None:
        """Count a stream of the user, until `remove_stream`.

        Raises TooManyStreams, and Unavailable if the process has too many or is stopping.
        """
        if self.is_closing:
            raise Unavailable("The server is stopping. Try again.")
        if self._open >= self._max_streams:
            raise Unavailable("The server has too many open streams. Try again.")
        if self._streams[user_id] >= self._max_streams_per_user:
            raise TooManyStreams(self._max_streams_per_user)
        self._count(user_id, 1)

    def remove_stream(self, user_id: str) -> None:
        """Stop counting a stream of the user."""
        self._count(user_id, -1)
        if not self._streams[user_id]:
            del self._streams[user_id]

    def _count(self, user_id: str, change: int) -> None:
        self._streams[user_id] += change
        self._open += change
        if self.hooks is not None:
            self.hooks.on_open(change)

    def subscribe(self, name: Name) -> Topic:
        """Return the topic, which is polled until `unsubscribe`."""
        topic = self._topics.setdefault(name, Topic())
        topic.subscriptions += 1
        if self._poller is None or self._poller.done():
            # Not in the context of the request, whose trace and lease would stay with all polls.
            self._poller = Context().run(bridge.shared, self._poll_regularly())
        return topic

    def unsubscribe(self, name: Name) -> None:
        """End a subscription, and stop polling the topic after its last one."""
        topic = self._topics[name]
        topic.subscriptions -= 1
        if not topic.subscriptions:
            del self._topics[name]

    @contextmanager
    def topic(self, name: Name) -> Iterator[Topic]:
        """Subscribe to a topic until the block ends."""
        topic = self.subscribe(name)
        try:
            yield topic
        finally:
            self.unsubscribe(name)

    def observe_delivery(self, written_at: str) -> None:
        """Observe that a waiting stream sends what was written at a time (RFC 3339)."""
        if self.hooks is not None:
            delay = time.time() - datetime.fromisoformat(written_at).timestamp()
            self.hooks.on_delivery(max(0.0, delay))

    def wake(self, name: Name) -> None:
        """Wake the streams of a topic that this process has changed."""
        topic = self._topics.get(name)
        if topic is not None:
            topic.wake()

    def close(self) -> None:
        """End all streams, because the process stops."""
        self.is_closing = True
        for topic in self._topics.values():
            topic.wake()

    async def _poll_regularly(self) -> None:
        """Poll as long as there are topics."""
        while self._topics:
            await asyncio.sleep(TICK_SECONDS)
            names = list(islice(self._topics, BATCH))
            now = asyncio.get_running_loop().time()
            for name in names:
                topic = self._topics.pop(name)
                topic.expire(now)
                self._topics[name] = topic  # at the end, so that the others come first
            try:
                values = await bridge.run(self._poll, names)
            except (Failure, Refused) as error:  # not even a defect may end the polls
                logger.warning("poll failed", extra={"reason": type(error).__name__})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for name, value in values.items():
                if name in self._topics:
                    self._topics[name].update(value)


current: ContextVar[Hub] = ContextVar("hub")
"""The hub of the process that serves the current request."""


class Watch:
    """Topics that a plain function can wait for; see `watch`."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        self._topics = topics
        self._versions = [topic.version for topic in topics]
        self._disconnected: asyncio.Future[None] | None = None

    def wait(self, seconds: float) -> None:
        """Wait until a topic has changed since the last call, but not longer than `seconds`.

        Raises ClientDisconnected, and Unavailable if the process is stopping.
        """
        bridge.wait(self._wait(seconds))
        self._versions = [topic.version for topic in self._topics]

    async def _wait(self, seconds: float) -> None:
        if self._disconnected is None:
            receive = request_context.receive.get()
            self._disconnected = asyncio.ensure_future(request_context.disconnected(receive))
        waits = [
            asyncio.ensure_future(topic.wait(version, None, seconds))
            for topic, version in zip(self._topics, self._versions, strict=True)
        ]
        try:
            both: list[asyncio.Future[Any]] = [*waits, self._disconnected]
            await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in waits:
                waiting.cancel()
        if self._disconnected.done():
            raise ClientDisconnected
        if current.get().is_closing:
            raise Unavailable("The server is stopping. Try again.")

    def close(self) -> None:
        """Stop to watch the client."""
        if self._disconnected is not None:
            self._disconnected.cancel()


@contextmanager
def watch(names: Sequence[Name]) -> Iterator[Watch]:
    """Watch topics, so that a change between two calls of `wait` is not missed."""
    hub = current.get()
    with ExitStack() as stack:
        topics = [stack.enter_context(hub.topic(name)) for name in names]
        yield stack.enter_context(closing(Watch(topics)))
