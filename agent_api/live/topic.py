"""Defines what streams wait for."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from db.engine import bridge

T = TypeVar("T")
Value = tuple[int, ...]
"""How far a topic is. Later values are greater."""


class Topic:
    """A run or a user's changes, with the streams that follow it."""

    __slots__ = ("_reads", "_waiting", "subscriptions", "value", "version")

    def __init__(self) -> None:
        self.subscriptions = 0
        self.value: Value = ()
        """The greatest value that a read of the database has returned."""
        self.version = 0
        """The number of writes of this process, which have no value."""
        self._waiting: dict[asyncio.Future[bool], Value | None] = {}
        self._reads: dict[Hashable, asyncio.Task[Any]] = {}

    def wake(self) -> None:
        """Wake all who wait, because this process has committed a change."""
        self.version += 1
        for waiting in self._waiting:
            _finish(waiting, result=True)

    def update(self, value: Value) -> None:
        """Wake those who have not seen `value`."""
        if value <= self.value:
            return
        self.value = value
        for waiting, seen in self._waiting.items():
            if seen is None or seen < value:
                _finish(waiting, result=True)

    async def wait(self, version: int, seen: Value | None, seconds: float) -> bool:
        """Wait for a change after `version` and `seen`; return False if there is none.

        Without `seen`, the caller waits for any change of the value.
        """
        if self.version != version or (seen is not None and self.value > seen):
            return True
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting[waiting] = seen
        timer = loop.call_later(seconds, _expire, waiting)
        try:
            return await waiting
        finally:
            timer.cancel()
            del self._waiting[waiting]

    async def read(self, key: Hashable, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of `read`, which streams with the same key share.

        Streams that were woken by the same write thus cause one statement together.
        """
        running = self._reads.get(key)
        if running is None:
            running = self._reads[key] = bridge.shared(read())
            running.add_done_callback(lambda _: self._reads.pop(key))
        result: T = await asyncio.shield(running)
        return result


def _finish(waiting: asyncio.Future[bool], *, result: bool) -> None:
    if not waiting.done():
        waiting.set_result(result)


def _expire(waiting: asyncio.Future[bool]) -> None:
    _finish(waiting, result=False)
