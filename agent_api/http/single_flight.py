"""Combines concurrent calls of a function into one."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Generic, ParamSpec, TypeVar

from db.engine import bridge

P = ParamSpec("P")
T = TypeVar("T")


class SingleFlight(Generic[P, T]):
    """Runs a function that waits for the database, at most once at a time.

    Callers that arrive during a run get its result or exception; their arguments are ignored.
    """

    def __init__(self, function: Callable[P, T]) -> None:
        self._function = function
        self._running: asyncio.Task[T] | None = None

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of the run in progress, or of a new one."""
        running, loop = self._running, asyncio.get_running_loop()
        if running is None or running.done() or running.get_loop() is not loop:
            running = bridge.shared(bridge.run(partial(self._function, *args, **kwargs)))
            self._running = running
        return await asyncio.shield(running)  # cancelling one caller must not cancel the others
