"""Tests of the pool on an event loop: order, limit, cancelled requests and lost connections."""

import asyncio
import uuid
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from db import engine, errors
from db.engine import Connection, Hooks, PoolHooks, bridge
from db.engine.connections import pool
from tests.db.holding import PID, Configure, ask, assert_all_free, configure_for, held, terminate
from tests.db.rows import value
from tests.db.waiting import at_once, start


def test_waiting_requests_are_served_in_their_order(configure: Configure) -> None:
    configure(1)
    served: list[str] = []

    def take_turn(name: str) -> None:
        with engine.autocommit() as connection:
            served.append(name)
            connection.execute(PID)

    async def act() -> None:
        (holder,) = await held(1)
        waiting = [start(take_turn, name) for name in "abcdef"]
        await asyncio.sleep(0)
        waiting[2].cancel()
        await holder.end()
        late = start(take_turn, "late")  # the connection is free, but promised to the first
        await asyncio.gather(*waiting, late, return_exceptions=True)

    asyncio.run(act())

    assert served == ["a", "b", "d", "e", "f", "late"]


def test_pool_has_at_most_its_size(database_url: str, configure: Configure) -> None:
    name = f"test-{uuid.uuid4()}"
    url = f"{database_url}{'&' if '?' in database_url else '?'}application_name={name}"
    count = f"SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'"
    lent = [0]
    waits: list[float] = []
    hooks = PoolHooks(waits.append, lambda change: lent.append(lent[-1] + change))
    configure_for(url, 3, Hooks(hooks))

    all_open = asyncio.Barrier(3)

    def count_connections(number: int) -> Any:
        with engine.autocommit() as connection:
            if number < 3:
                bridge.wait(all_open.wait())
            return value(connection, count)

    counts = at_once([partial(count_connections, number) for number in range(50)])

    assert max(counts) == 3
    assert (max(lent), lent[-1]) == (3, 0)
    assert len(waits) == 50


def test_many_requests_share_three_connections(configure: Configure) -> None:
    configure(3)
    all_open = asyncio.Barrier(3)

    def work(number: int) -> tuple[object, object]:
        with engine.transaction() as connection:
            if number < 3:
                bridge.wait(all_open.wait())
            pid = value(connection, PID)
            return pid, value(connection, "SELECT %(number)s", {"number": number})

    found = at_once([partial(work, number) for number in range(200)])

    assert [number for _, number in found] == list(range(200))
    assert len({pid for pid, _ in found}) == 3


def test_request_that_waits_too_long_fails_and_loses_no_place(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "WAIT_SECONDS", 0.2)
    configure(2)

    async def act() -> None:
        holders = await held(2)
        waiting = [start(ask) for _ in range(3)]
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, errors.Unavailable)
            assert "free" in str(outcome)
        monkeypatch.undo()
        for holder in holders:
            await holder.end()
        await assert_all_free(2)

    asyncio.run(act())


def test_request_cancelled_while_it_waits_loses_no_place(configure: Configure) -> None:
    configure(2)

    async def act() -> None:
        holders = await held(2)
        waiting = [start(ask) for _ in range(3)]
        await asyncio.sleep(0.05)
        for each in waiting:
            each.cancel()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        for holder in holders:
            await holder.end()
        await assert_all_free(2)

    asyncio.run(act())


@pytest.mark.parametrize("is_closed", [False, True], ids=["connection", "place"])
def test_request_cancelled_as_its_turn_comes_passes_it_on(
    configure: Configure, is_closed: bool
) -> None:
    configure(1)

    async def act() -> None:
        (holder,) = await held(1)
        first, second = start(ask), start(ask)
        await asyncio.sleep(0.05)

        def give_back() -> None:
            with engine.autocommit() as connection:  # the third in the queue
                if is_closed:
                    connection.close()
            fourth.cancel()  # it has the connection, or the place, but does not know it yet

        third = start(give_back)
        await asyncio.sleep(0)
        fourth, fifth = start(ask), start(ask)
        await asyncio.sleep(0)
        await holder.end()
        outcomes = await asyncio.gather(first, second, third, fourth, fifth, return_exceptions=True)
        assert isinstance(outcomes[3], asyncio.CancelledError)
        assert isinstance(outcomes[4], int)
        await assert_all_free(1)

    asyncio.run(act())


def test_cancelled_statement_closes_its_connection_and_frees_its_place(
    configure: Configure,
) -> None:
    configure(1)

    async def act() -> None:
        before = await bridge.run(ask)
        sleeping = start(ask, "SELECT pg_sleep(60)")
        waiting = start(ask)
        await asyncio.sleep(0.1)
        sleeping.cancel()
        async with asyncio.timeout(30):
            assert await waiting != before
            with pytest.raises(asyncio.CancelledError):
                await sleeping
        await assert_all_free(1)
        terminate(before)

    asyncio.run(act())


def test_cancelled_transaction_is_rolled_back(configure: Configure) -> None:
    configure(2)
    user = f"user-{uuid.uuid4()}"
    count = "SELECT count(*) FROM chat_settings WHERE user_id = %(user)s"
    inserted = asyncio.Event()

    def insert_and(then: Callable[[Connection], object]) -> None:
        with engine.transaction() as connection:
            connection.execute("INSERT INTO chat_settings (user_id) VALUES (%(u)s)", {"u": user})
            inserted.set()
            then(connection)

    async def cancel(then: Callable[[Connection], object]) -> object:
        inserted.clear()
        task = start(insert_and, then)
        await inserted.wait()
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.5)  # the server notices it at the end of the statement
        await assert_all_free(2)
        return await bridge.run(partial(ask, count, user=user))

    async def act() -> list[object]:
        asking = partial(Connection.execute, sql="SELECT pg_sleep(0.3)")
        return [await cancel(asking), await cancel(lambda _: bridge.wait(asyncio.sleep(60)))]

    assert asyncio.run(act()) == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_no_place_is_lost_whatever_happens_to_requests(configure: Configure, seed: int) -> None:
    configure(4)
    random = Random(seed)

    def work() -> None:
        with random.choice((engine.autocommit, engine.transaction))() as connection:
            for _ in range(random.randrange(4)):
                chance = random.random()
                if chance < 0.1:
                    terminate(connection.backend_pid)
                elif chance < 0.2:
                    connection.execute("SELECT 1 / 0")
                elif chance < 0.3:
                    raise LookupError
                else:
                    connection.execute("SELECT pg_sleep(%(s)s)", {"s": random.random() / 50})

    unheard: list[object] = []

    async def act() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, found: unheard.append(found))
        tasks = [start(work) for _ in range(200)]
        while not all(task.done() for task in tasks):
            await asyncio.sleep(random.random() / 100)
            random.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await assert_all_free(4)

    asyncio.run(act())

    assert unheard == []


def test_blocking_call_while_the_event_loop_uses_the_pool_is_an_error(configure: Configure) -> None:
    configure(2)

    async def act() -> None:
        await bridge.run(ask, PID)
        with pytest.raises(RuntimeError, match="bridge"):
            ask(PID)
        with pytest.raises(RuntimeError, match="bridge"):
            await asyncio.to_thread(ask, PID)

    asyncio.run(act())
    assert ask(PID)
