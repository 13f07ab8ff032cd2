"""Tells when database sockets are ready, on any event loop.

uvloop's own `add_reader` never calls back for a socket that the other side has reset: libuv reports
an error instead of an event (https://github.com/libuv/libuv/issues/3796), and uvloop drops it.
Therefore all sockets are in one selector, which is itself watched by the event loop.
"""

import asyncio
import selectors
from collections.abc import Callable
from weakref import WeakKeyDictionary

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE

_of_loops: "WeakKeyDictionary[asyncio.AbstractEventLoop, Sockets]" = WeakKeyDictionary()


class Sockets:
    """The watched sockets of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._selector = selectors.DefaultSelector()
        loop.add_reader(self._selector, self._dispatch)

    def watch(self, descriptor: int, events: int, callback: Callable[[], None]) -> None:
        """Call `callback` whenever the socket is ready for one of the events, or has an error."""
        self._selector.register(descriptor, events, callback)

    def change(self, descriptor: int, events: int, callback: Callable[[], None]) -> None:
        """Watch a watched socket for other events."""
        self._selector.modify(descriptor, events, callback)

    def forget(self, descriptor: int) -> None:
        """Watch the socket no longer. It may be closed already, but only just now."""
        self._selector.unregister(descriptor)

    def _dispatch(self) -> None:
        for key, _ in self._selector.select(0):
            if self._selector.get_map().get(key.fd) is key:  # another callback may have ended it
                key.data()


def sockets() -> Sockets:
    """Return the sockets of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _of_loops.get(loop)
    if found is None:
        found = _of_loops[loop] = Sockets(loop)
    return found
