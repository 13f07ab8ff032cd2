"""Lets plain functions wait on the event loop, which meanwhile serves other requests.

Handlers and queries are plain functions. `run` executes one in a greenlet: when it waits for the
database, the greenlet is suspended and the event loop goes on. Outside `run`, for example in a
command, the same functions block. docs/decisions/0015 explains the choice.
"""

import asyncio
import math
import select
import time
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.util import await_, greenlet_spawn
from sqlalchemy.util.concurrency import in_greenlet

from db.engine.sockets import READ, WRITE, sockets

P = ParamSpec("P")
T = TypeVar("T")

LARGE_BYTES = 128 * 1024
"""Converting or checking this much JSON takes about a millisecond."""

run = greenlet_spawn
"""A coroutine function: `await run(function, *args, **kwargs)`."""
can_wait = in_greenlet
"""Whether the caller runs inside `run`."""
wait = await_
"""Wait for an awaitable. Only inside `run`."""


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
