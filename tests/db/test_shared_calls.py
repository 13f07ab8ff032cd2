"""Calls that several requests share, all of which are cancelled before the call fails."""

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

from agent_api.http.single_flight import SingleFlight
from db import engine
from db.engine import bridge

UNREACHABLE = "postgresql://127.0.0.1:1/nowhere"


def unheard(call: Callable[[], Awaitable[Any]]) -> list[object]:
    """Return what the event loop reports after requests that share the call are cancelled."""
    reports: list[object] = []

    async def act() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, found: reports.append(found))
        requests = [asyncio.ensure_future(call()) for _ in range(3)]
        await asyncio.sleep(0)
        for request in requests:
            request.cancel()
        ended = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(end) for end in ended] == [asyncio.CancelledError] * 3
        await asyncio.sleep(0.3)

    asyncio.run(act())
    return reports


def test_failure_of_a_single_flight_without_callers_is_not_reported() -> None:
    def fail() -> None:
        bridge.sleep(0.1)
        raise LookupError

    found = unheard(SingleFlight(fail))
    gc.collect()

    assert found == []


def test_failure_of_a_question_to_the_primary_without_reads_is_not_reported() -> None:
    def read() -> None:
        with engine.reading():
            raise AssertionError

    engine.configure(UNREACHABLE, pool_size=2, statement_timeout_ms=1000, read_url=UNREACHABLE)
    found = unheard(lambda: bridge.run(read))
    engine.dispose()
    gc.collect()

    assert found == []
