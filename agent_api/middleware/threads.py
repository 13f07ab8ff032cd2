"""Threads for calls that block: an event loop gives them work, and waits without being blocked.

A request's way to a thread and back took more CPU than its statement by `concurrent.futures`, which
makes a lock, a condition and two futures for it, and wakes the event loop for each answer.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Overdue(Exception):
    """No thread came free in time: the call was not made, and will not be."""


class Threads:
    """At most so many threads as calls at the same time; for one event loop."""

    def __init__(
        self,
        count: int,
        *,
        name: str,
        patience: float,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        """`on_wait` is told for how many seconds a call waited for its thread, or in vain."""
        self._count = count
        self._name = name
        self._patience = patience
        self._on_wait = on_wait
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[_Job] = deque()
        self._busy = 0
        self._is_woken = False

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `call` returns in a thread, in the context of who asks.

        Raises what it raises, and Overdue where it had to wait for longer than `patience` seconds
        for a thread: behind a database that hangs, the last one in the queue would otherwise wait
        for as long as all before it together.
        """
        loop = asyncio.get_running_loop()
        if len(self._threads) < min(self._busy + 1, self._count):
            self._start_thread()
        job = _Job(loop, copy_context(), partial(call, *args, **kwargs), self._on_wait)
        self._busy += 1
        expiry = None
        if self._busy > len(self._threads):
            expiry = loop.call_later(self._patience, job.expire)
        self._jobs.put(job)
        try:
            result: T = await job.future
        except Overdue:
            if self._on_wait is not None:
                self._on_wait(time.perf_counter() - job.queued)
            raise
        except asyncio.CancelledError:
            job.claim()
            raise
        finally:
            if expiry is not None:
                expiry.cancel()
        return result

    def shutdown(self) -> None:
        """Wait until what was begun is done, and end the threads.

        Without it they end with the process, whatever they are doing.
        """
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _start_thread(self) -> None:
        name = f"{self._name}_{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system allows no more of them
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.claim():
                job.do()
            self._done.append(job)
            # The event loop may be told of many at once. It looks after it has lowered the flag, so
            # that none is forgotten.
            if not self._is_woken:
                self._is_woken = True
                with suppress(RuntimeError):  # the event loop is closed: nobody waits any more
                    job.loop.call_soon_threadsafe(self._deliver)
            del job  # it would hold on to its answer until the next one comes

    def _deliver(self) -> None:
        self._is_woken = False
        while self._done:
            self._busy -= 1
            self._done.popleft().deliver()


class _Job:
    """A call on its way to a thread and back."""

    __slots__ = (
        *("_call", "_claim", "_context", "_error", "_on_wait", "_result"),
        *("future", "loop", "queued"),
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: Context,
        call: Callable[[], Any],
        on_wait: Callable[[float], None] | None,
    ) -> None:
        self.loop = loop
        self.future: asyncio.Future[Any] = loop.create_future()
        self.queued = time.perf_counter()
        self._context = context
        self._call = call
        self._claim = threading.Lock()
        self._on_wait = on_wait
        self._result: Any = None
        self._error: BaseException | None = None

    def claim(self) -> bool:
        """Tell whether the caller is the first: the one that makes the call, or gives it up."""
        return self._claim.acquire(blocking=False)

    def expire(self) -> None:
        """Give it up, unless it was begun."""
        if self.claim() and not self.future.done():
            self.future.set_exception(Overdue())

    def do(self) -> None:
        """Make the call, in a thread."""
        try:
            if self._on_wait is not None:
                self._on_wait(time.perf_counter() - self.queued)
            self._result = self._context.run(self._call)
        except StopIteration as error:  # no future takes one
            self._error = RuntimeError("StopIteration")
            self._error.__cause__ = error
        except BaseException as error:  # noqa: BLE001  # it is raised where the answer is awaited
            self._error = error

    def deliver(self) -> None:
        """Hand the outcome over, on the event loop, to who still waits for it."""
        if self.future.done():
            return
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)
            self._error = None  # which refers to this frame by its traceback
