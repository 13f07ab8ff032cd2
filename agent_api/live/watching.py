"""Lets a plain function wait for several topics."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager

from agent_api.http import request_context
from agent_api.http.request_context import ClientDisconnected
from agent_api.live import hub as hubs
from agent_api.live.hub import Hub, Name
from agent_api.live.topic import Topic, Waiter
from db.engine import bridge


class Watch:
    """Topics that a plain function can wait for; see `watch`."""

    def __init__(self, hub: Hub, topics: Sequence[Topic]) -> None:
        self._hub = hub
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
        waiter: Waiter = asyncio.get_running_loop().create_future()
        for topic, version in zip(self._topics, self._versions, strict=True):
            topic.add(waiter, version, None, math.inf)
        try:
            await asyncio.wait(
                (waiter, self._disconnected), timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for topic in self._topics:
                topic.forget(waiter)
        if self._disconnected.done():
            raise ClientDisconnected
        self._hub.check_open()

    def close(self) -> None:
        """Stop to watch the client."""
        if self._disconnected is not None:
            self._disconnected.cancel()


@contextmanager
def watch(names: Sequence[Name], *, user_id: str) -> Iterator[Watch]:
    """Watch topics for a claim, so that a change between two calls of `wait` is not missed.

    Raises TooManyClaims, and Unavailable if the process has too many or is stopping.
    """
    hub = hubs.current.get()
    hub.check_open()
    with ExitStack() as stack:
        stack.enter_context(hub.claims.taken(user_id))
        topics = [stack.enter_context(hub.topic(name)) for name in names]
        yield stack.enter_context(closing(Watch(hub, topics)))
