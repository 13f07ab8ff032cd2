"""Lets few changes of a conversation run at a time.

Changes of one conversation wait for its row lock, each with a connection of the pool. Many clients
that write to one conversation would take all connections, and everybody else would wait for one.
"""

import asyncio
from weakref import WeakValueDictionary

from agent_api.contract.operation import Request
from db.errors import Busy

AT_ONCE = 3
"""One has the lock, and the others wait for it, so that it is never free in between."""
WAIT_SECONDS = 5
"""As long as for a connection."""


class Turns:
    """The changes that run, by conversation; of this process only."""

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def take(self, request: Request) -> asyncio.Semaphore | None:
        """Wait until the request may run; return what to release then, if it must wait its turn.

        Raises Busy.
        """
        conversation_id = request.arguments.get("conversation_id")
        if conversation_id is None or request.operation.method == "GET":  # also for HEAD
            return None
        turn = self._turns.get(conversation_id)
        if turn is None:
            turn = self._turns[conversation_id] = asyncio.Semaphore(AT_ONCE)
        if not turn.locked():
            await turn.acquire()
            return turn
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn.acquire()
        except TimeoutError as error:
            raise Busy("other changes of this conversation did not end in time") from error
        return turn
