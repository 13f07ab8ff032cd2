"""Runs blocking calls in threads, for an event loop that awaits their results.

`concurrent.futures` took more CPU per call than the database statement: it creates a lock, a
condition and two futures, and wakes the event loop for each result.
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


class QueueTimeout(Exception):
    """No thread became free in time. The call was not made and will not be."""


class Threads:
    """A pool of up to `count` threads, for one event loop."""

    def __init__(
        self,
        count: int,
        *,
        name: str,
        timeout: float,
        on_wait: Callable[[float], None] | None = None,
    ) -> None:
        """Call `on_wait` with the seconds that each call waited, also if it timed out."""
        self._count = count
        self._name = name
        self._timeout = timeout
        self._on_wait = on_wait
        self._threads: list[threading.Thread] = []
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._done: deque[_Job] = deque()
        self._busy = 0
        self._is_woken = False

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `call` in a thread, in the caller's context, and return its result.

        Raises what `call` raises, or QueueTimeout if no thread is free within `timeout` seconds.
        Without a timeout, a slow database would make calls at the end of the queue wait for all
        calls before them.
        """
        loop = asyncio.get_running_loop()
        if len(self._threads) < min(self._busy + 1, self._count):
            self._start_thread()
        job = _Job(loop, copy_context(), partial(call, *args, **kwargs), self._on_wait)
        self._busy += 1
        expiry = None
        if self._busy > len(self._threads):
            expiry = loop.call_later(self._timeout, job.expire)
        self._jobs.put(job)
        try:
            result: T = await job.future
        except QueueTimeout:
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
        """Wait for the calls in progress and end the threads.

        Otherwise the threads end with the process, even in the middle of a call.
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
        except RuntimeError:  # the system allows no more threads
            if not self._threads:
                raise
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.claim():
                job.do()
            self._done.append(job)
            # One wake-up delivers all finished jobs. `_deliver` clears the flag before it reads
            # `_done`, so it misses no job.
            if not self._is_woken:
                self._is_woken = True
                with suppress(RuntimeError):  # the event loop is closed: no task waits
                    job.loop.call_soon_threadsafe(self._deliver)
            del job  # otherwise its result stays in memory until the next job

    def _deliver(self) -> None:
        self._is_woken = False
        while self._done:
            self._busy -= 1
            self._done.popleft().deliver()


class _Job:
    """A call that waits for a thread, runs, or waits for the event loop."""

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
        """Return True to the first caller only: it makes the call or abandons it."""
        return self._claim.acquire(blocking=False)

    def expire(self) -> None:
        """Abandon the call with QueueTimeout, unless a thread has claimed it."""
        if self.claim() and not self.future.done():
            self.future.set_exception(QueueTimeout())

    def do(self) -> None:
        """Make the call. Runs in a thread."""
        try:
            if self._on_wait is not None:
                self._on_wait(time.perf_counter() - self.queued)
            self._result = self._context.run(self._call)
        except StopIteration as error:  # a future cannot raise it
            self._error = RuntimeError("StopIteration")
            self._error.__cause__ = error
        except BaseException as error:  # noqa: BLE001  # `run` raises it to its caller
            self._error = error

    def deliver(self) -> None:
        """Give the result to the waiting task, if any. Runs on the event loop."""
        if self.future.done():
            return
        if self._error is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._error)
            self._error = None  # breaks a reference cycle through the traceback
