"""Runs plain functions on an event loop, where they wait for the database at the same time."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest

from db.engine import bridge

T = TypeVar("T")
Call = Callable[..., Any]


def blocking(function: Callable[..., T], *args: Any) -> T:
    """Call a function that blocks, as a command does."""
    return function(*args)


def on_loop(function: Callable[..., T], *args: Any) -> T:
    """Call a function that waits on an event loop, as a request does."""
    return asyncio.run(_running(function, *args))


BOTH_WAYS = pytest.mark.parametrize("call", [blocking, on_loop])
"""Runs a test twice, with the function that it calls others with."""


def at_once(acts: Sequence[Callable[[], T]]) -> list[T]:
    """Call the functions at the same time, and return their results."""

    async def gather() -> list[T]:
        return await asyncio.gather(*(_running(act) for act in acts))

    return asyncio.run(gather())


def start(function: Callable[..., T], *args: Any) -> asyncio.Task[T]:
    """Call a function in a task, which may be cancelled."""
    return asyncio.create_task(_running(function, *args))


def _running(function: Callable[..., T], *args: Any) -> Coroutine[Any, Any, T]:
    return bridge.run(function, *args)
