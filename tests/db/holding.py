"""Requests that hold connections of the pool, and a check that none is missing."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg2

from db import engine
from db.engine import Connection, Hooks, bridge
from tests.db.rows import value
from tests.db.waiting import start

Configure = Callable[[int], None]
PID = "SELECT pg_backend_pid()"


def configure_for(url: str, size: int, hooks: Hooks | None = None) -> None:
    engine.configure(url, pool_size=size, statement_timeout_ms=60_000, hooks=hooks)


class Holder:
    """A request that holds a connection until it is told to end."""

    connection: Connection

    def __init__(self) -> None:
        self.has_one = asyncio.Event()
        self._end = asyncio.Event()
        self._task = start(self._hold)

    def _hold(self) -> None:
        with engine.autocommit() as self.connection:
            self.has_one.set()
            bridge.wait(self._end.wait())

    async def end(self) -> None:
        self._end.set()
        await self._task


async def held(count: int) -> list[Holder]:
    """Return requests that all hold a connection."""
    holders = [Holder() for _ in range(count)]
    async with asyncio.timeout(30):
        for holder in holders:
            await holder.has_one.wait()
    return holders


async def assert_all_free(size: int) -> None:
    """Fail unless exactly `size` connections can be held at once."""
    holders = await held(size)
    one_more = Holder()
    await asyncio.sleep(0.05)
    assert not one_more.has_one.is_set()
    for holder in (*holders, one_more):
        await holder.end()


def ask(statement: str = PID, **parameters: object) -> Any:
    with engine.autocommit() as connection:
        return value(connection, statement, parameters)


def terminate(*pids: object) -> None:
    with closing(psycopg2.connect(engine.url())) as other, other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM unnest(%s) AS pid", [list(pids)]
        )
