"""A call that many may ask for at once, and that is made once for all of them."""

import asyncio
from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class SharedCall(Generic[P, T]):
    """A function that runs in a thread, never twice at the same time.

    Who asks while it runs gets what that run returns or raises, whatever arguments it was made
    with.
    """

    def __init__(self, call: Callable[P, T]) -> None:
        self._call = call
        self._running: asyncio.Task[T] | None = None

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns."""
        running, loop = self._running, asyncio.get_running_loop()
        if running is None or running.done() or running.get_loop() is not loop:
            running = loop.create_task(asyncio.to_thread(self._call, *args, **kwargs))
            self._running = running
        return await asyncio.shield(running)  # who gives up waiting does not end it for others
