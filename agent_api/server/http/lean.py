"""Smaller versions of what uvicorn keeps for each connection and each request.

An empty deque takes 760 bytes. An open stream had three: for those who wait for its event, for
those who wait for the event of its connection, and for pipelined requests.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl


class Event(asyncio.Event):
    """An event for which at most a few wait: they are in a list."""

    def __init__(self) -> None:
        super().__init__()
        self._waiters = []  # type: ignore[assignment]  # asyncio declares a deque


class LeanFlowControl(FlowControl):
    """uvicorn's, with a smaller event."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_writable_event = Event()
        self._is_writable_event.set()


class Pipeline(list[Any]):
    """The part of a deque that uvicorn and we use, for at most a few requests."""

    def appendleft(self, request: Any) -> None:
        """Add the newest request."""
        self.insert(0, request)

    def popleft(self) -> Any:
        """Remove and return the newest request."""
        return self.pop(0)
