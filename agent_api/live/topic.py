"""Defines what streams wait for."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, TypeVar

from db.engine import bridge

T = TypeVar("T")
Value = tuple[int, ...]
"""How far a topic is. After a failover that lost commits it can be less than before."""
Waiter = asyncio.Future[bool]
"""Becomes True after a change, and False if there was none in time."""


class Topic:
    """A run or a user's changes, with the streams that follow it."""

    __slots__ = ("_reads", "_waiting", "subscriptions", "value", "version")

    def __init__(self) -> None:
        self.subscriptions = 0
        self.value: Value = ()
        """The value that the last read of the database has returned."""
        self.version = 0
        """The number of writes of this process, which have no value."""
        self._waiting: dict[Waiter, tuple[Value | None, float]] = {}
        self._reads: dict[Hashable, asyncio.Task[Any]] | None = None

    def wake(self) -> None:
        """Wake all waiters, because this process has committed a change."""
        self.version += 1
        self._finish(list(self._waiting), result=True)

    def update(self, value: Value) -> None:
        """Wake the waiters that have not seen `value`."""
        if value == self.value:
            return
        self.value = value
        behind = [waiter for waiter, (seen, _) in self._waiting.items() if seen != value]
        self._finish(behind, result=True)

    def expire(self, now: float) -> None:
        """Wake the waiters whose time is over."""
        late = [waiter for waiter, (_, until) in self._waiting.items() if until <= now]
        self._finish(late, result=False)

    def waiter(self, version: int, seen: Value | None, until: float) -> Waiter:
        """Return a future that waits for a change after `version` and `seen`; see `add`."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self.add(waiter, version, seen, until)
        return waiter

    def add(self, waiter: Waiter, version: int, seen: Value | None, until: float) -> None:
        """Finish a future after a change after `version` and `seen`, or at once if there was one.

        Without `seen`, it waits for any change of the value. `until` is a time of the event loop,
        which the hub checks when it polls the topic: a timer for each stream takes memory.
        """
        if waiter.done():
            return
        if self.version != version or (seen is not None and self.value not in ((), seen)):
            waiter.set_result(True)
        else:
            self._waiting[waiter] = (seen, until)

    def forget(self, waiter: Waiter) -> None:
        """End the wait of a waiter, as if its time were over."""
        if not waiter.done():
            self._finish([waiter], result=False)
        self._waiting.pop(waiter, None)

    async def wait(self, version: int, seen: Value | None, seconds: float) -> bool:
        """Wait for a change up to `seconds`; return whether the topic has changed. See `waiter`."""
        waiter = self.waiter(version, seen, asyncio.get_running_loop().time() + seconds)
        try:
            return await waiter
        finally:
            self.forget(waiter)

    async def read(self, key: Hashable, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of `read`, which streams with the same key share.

        Streams that were woken by the same write thus cause one statement together.
        """
        reads = self._reads = self._reads or {}
        running = reads.get(key)
        if running is None:
            running = reads[key] = bridge.shared(read())
            running.add_done_callback(lambda _: self._forget_read(key))
        result: T = await asyncio.shield(running)
        return result

    def _forget_read(self, key: Hashable) -> None:
        if self._reads is not None:
            self._reads.pop(key, None)
            self._reads = self._reads or None

    def _finish(self, waiters: list[Waiter], *, result: bool) -> None:
        for waiter in waiters:
            self._waiting.pop(waiter, None)
            if not waiter.done():
                waiter.set_result(result)
