"""Wakes the streams of a process when what they follow has changed."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from agent_api.http.problems import TooManyClaims, TooManyStreams, Unavailable
from agent_api.live.places import Places
from agent_api.live.topic import Topic, Value
from db.engine import bridge
from db.errors import Failure, Refused

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.12
"""The time between two polls: half of the events of other processes arrive within 100 ms."""
BATCH = 2500
"""The number of topics of streams that one poll asks for. It takes 7 ms of CPU, half of them
PostgreSQL's: with 10,000 topics, each is polled every half second."""
QUEUES = 500
"""The number of queues that one poll asks for."""
MAX_CLAIMS = 1000
"""How many claims of a process may wait at the same time, each for up to 100 queues."""
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
    """The topics that a process waits for, and how many streams and claims may wait."""

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
        self.streams = Places(
            max_streams,
            max_streams_per_user,
            what="open streams",
            refusal=TooManyStreams,
            on_change=_ignore if hooks is None else hooks.on_open,
        )
        self.claims = Places(
            MAX_CLAIMS,
            max_streams_per_user,
            what="waiting claims",
            refusal=TooManyClaims,
            on_change=_ignore,
        )
        self._topics: dict[Name, Topic] = {}
        self._queues: dict[Name, Topic] = {}
        """The topics of claims, which are polled apart, so that they do not delay streams."""
        self._poller: asyncio.Task[None] | None = None
        self.is_closing = False

    def check_open(self) -> None:
        """Raise Unavailable if the process is stopping."""
        if self.is_closing:
            raise Unavailable("The server is stopping. Try again.")

    def subscribe(self, name: Name) -> Topic:
        """Return the topic, which is polled until `unsubscribe`."""
        topic = self._all_like(name).setdefault(name, Topic())
        topic.subscriptions += 1
        if self._poller is None or self._poller.done():
            # Not in the context of the request, whose trace and lease would stay with all polls.
            self._poller = Context().run(bridge.shared, self._poll_regularly())
        return topic

    def unsubscribe(self, name: Name) -> None:
        """End a subscription, and stop polling the topic after its last one."""
        topics = self._all_like(name)
        topics[name].subscriptions -= 1
        if not topics[name].subscriptions:
            del topics[name]

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
        topic = self._all_like(name).get(name)
        if topic is not None:
            topic.wake()

    def close(self) -> None:
        """End all streams, because the process stops."""
        self.is_closing = True
        for topic in (*self._topics.values(), *self._queues.values()):
            topic.wake()

    def _all_like(self, name: Name) -> dict[Name, Topic]:
        kind = name[0]
        return self._queues if kind == "queue" else self._topics

    async def _poll_regularly(self) -> None:
        """Poll as long as there are topics."""
        while self._topics or self._queues:
            await asyncio.sleep(TICK_SECONDS)
            now = asyncio.get_running_loop().time()
            names = _next(self._topics, BATCH, now) + _next(self._queues, QUEUES, now)
            try:
                values = await bridge.run(self._poll, names)
            except (Failure, Refused) as error:  # not even a defect may end the polls
                logger.warning("poll failed", extra={"reason": type(error).__name__})
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for name, value in values.items():
                topic = self._all_like(name).get(name)
                if topic is not None:
                    topic.update(value)


def _ignore(_change: int) -> None:
    pass


def _next(topics: dict[Name, Topic], most: int, now: float) -> list[Name]:
    """Return the topics whose turn it is, and expire their waiters."""
    names = list(islice(topics, most))
    for name in names:
        topic = topics.pop(name)
        topic.expire(now)
        topics[name] = topic  # at the end, so that the others come first
    return names


current: ContextVar[Hub] = ContextVar("hub")
"""The hub of the process that serves the current request."""
