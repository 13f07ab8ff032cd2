"""Lets plain functions wait on the event loop, which meanwhile serves other requests.

Handlers and queries are plain functions. `run` executes one in a greenlet: when it waits for the
database, the greenlet is suspended and the event loop goes on. Outside `run`, for example in a
command, the same functions block. docs/decisions/0015 explains the choice.
"""

import asyncio
import math
import select
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, ParamSpec, TypeVar

from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]  # greenlet ships no type hints

from db.engine.connections.sockets import READ, WRITE, sockets

P = ParamSpec("P")
T = TypeVar("T")

LARGE_BYTES = 128 * 1024
"""Converting or checking this much JSON takes about a millisecond."""
MAX_IDLE = 32
"""Idle greenlets that a thread keeps; each has about 10 kB of memory."""


class _Runner(greenlet):  # type: ignore[misc]  # greenlet ships no type hints, so its class is Any
    """Runs one function after another: CPython maps memory for each new greenlet.

    An exception ends it.
    """

    result: Any = None

    def run(self, function: Callable[[], Any]) -> None:
        while True:
            self.result = function()
            del function  # and with it the arguments
            function = self.parent.switch(None)


class _Idle(threading.local):
    def __init__(self) -> None:
        self.runners: list[_Runner] = []


_idle = _Idle()


async def run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return the result of a function, which may use `wait`."""
    idle = _idle.runners
    runner = idle.pop() if idle else _Runner()
    runner.parent = driver = getcurrent()
    runner.gr_context = driver.gr_context
    awaited = runner.switch(partial(function, *args, **kwargs))
    while awaited is not None:
        try:
            value = await awaited
        except BaseException:  # noqa: BLE001 (the exception is raised again inside the waiting function)
            awaited = runner.throw(*sys.exc_info())
        else:
            awaited = runner.switch(value)
    result: T = runner.result
    runner.result = runner.gr_context = None
    if len(idle) < MAX_IDLE:
        idle.append(runner)
    return result


def can_wait() -> bool:
    """Tell whether the caller runs inside `run`."""
    return isinstance(getcurrent(), _Runner)


def wait(awaitable: Awaitable[T]) -> T:
    """Wait for an awaitable. Only inside `run`."""
    result: T = getcurrent().parent.switch(awaitable)
    return result


def shared(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a task for several callers, which wait for `asyncio.shield` of it.

    If all callers were cancelled, asyncio would log the task's exception as an error. Reading the
    exception prevents that.
    """
    task = asyncio.ensure_future(coroutine)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def sleep(seconds: float) -> None:
    """Wait, while other requests go on."""
    if can_wait():
        wait(asyncio.sleep(seconds))
    else:
        time.sleep(seconds)


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that blocks, in a thread if other requests would have to wait."""
    if not can_wait():
        return function(*args, **kwargs)
    return wait(asyncio.to_thread(function, *args, **kwargs))


def off_loop(size: int, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that converts `size` bytes, in a thread if that takes long.

    If the system allows no more threads, the others have to wait: an error would come too late, as
    the response may be about a change that is stored.
    """
    if size < LARGE_BYTES:
        return function(*args, **kwargs)
    try:
        return in_thread(function, *args, **kwargs)
    except RuntimeError as error:
        if error.args != ("can't start new thread",):
            raise
        return function(*args, **kwargs)


def wait_for_socket(descriptor: int, *, writable: bool, until: float) -> None:
    """Wait until the socket is readable or writable.

    Raises TimeoutError at the time `until` of the monotonic clock.
    """
    seconds = None if until == math.inf else max(0, until - time.monotonic())
    if can_wait():
        wait(_ready(descriptor, writable=writable, seconds=seconds))
        return
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT if writable else select.POLLIN)
    if not poll.poll(None if seconds is None else seconds * 1000):
        raise TimeoutError


async def _ready(descriptor: int, *, writable: bool, seconds: float | None) -> None:
    ready = asyncio.Event()
    watched = sockets()
    watched.watch(descriptor, WRITE if writable else READ, ready.set)
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
    finally:
        watched.forget(descriptor)
