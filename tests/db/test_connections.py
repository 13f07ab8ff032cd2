"""Tests of connections on an event loop: lost ones, and large statements and results."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from db import engine, errors
from db.engine import bridge
from tests.db.holding import PID, Configure, ask, assert_all_free, configure_for, held, terminate
from tests.db.rows import value
from tests.db.waiting import blocking, on_loop, start
from tests.silence import Relay


def test_failed_attempts_to_connect_pass_their_place_on(database_url: str) -> None:
    with Relay(database_url) as relay:
        configure_for(relay.url, 1)
        relay.hang_up()

        async def act() -> None:
            async with asyncio.timeout(4):  # before requests give up waiting
                outcomes = await asyncio.gather(
                    *(start(ask) for _ in range(20)), return_exceptions=True
                )
            for outcome in outcomes:
                assert isinstance(outcome, errors.Unavailable)
                assert "reached" in str(outcome)
            relay.speak()
            await asyncio.sleep(0.6)  # attempts to connect have an interval after a failure
            await assert_all_free(1)

        asyncio.run(act())
        engine.dispose()


def test_refused_write_discards_connections_in_use_when_they_return(configure: Configure) -> None:
    """After a failover they are connected to the former primary."""
    configure(3)
    statement = "SET TRANSACTION READ ONLY; INSERT INTO chat_settings (user_id) VALUES ('u')"

    def write() -> None:
        with engine.autocommit() as connection:
            connection.execute(statement)

    async def act() -> None:
        holders = await held(3)
        before = {holder.connection.backend_pid for holder in holders}
        await holders.pop().end()
        with pytest.raises(errors.Unavailable, match="read-only"):
            await bridge.run(write)
        for holder in holders:
            await holder.end()
        after = await held(3)
        assert not before & {holder.connection.backend_pid for holder in after}
        for holder in after:
            await holder.end()
        await assert_all_free(3)

    asyncio.run(act())


def test_error_of_a_node_keeps_the_connections(configure: Configure) -> None:
    """Citus reports a failed worker with codes of class 08 and 57, on an intact connection."""
    configure(2)
    fail = "DO $$ BEGIN RAISE EXCEPTION 'no node' USING ERRCODE = '{}'; END $$"

    async def act() -> None:
        holders = await held(2)
        before = {holder.connection.backend_pid for holder in holders}
        await holders.pop().end()
        for code in ("08006", "57P01", "57P03"):
            with pytest.raises(errors.Unavailable, match="cannot take the work"):
                await bridge.run(partial(ask, fail.format(code)))
        await holders.pop().end()
        after = await held(2)
        assert {holder.connection.backend_pid for holder in after} == before
        for holder in after:
            await holder.end()
        await assert_all_free(2)

    asyncio.run(act())


@pytest.mark.parametrize(
    "message",
    [
        "failure on connection marked as essential: 10.0.0.2:5432",
        "could not commit transaction for shard 102008 on at least one active node",
        "failed to prepare transaction 'citus_0_1_2_3' on host 10.0.0.2:5432",
        "postmaster was shut down, exiting",
    ],
)
def test_transaction_that_loses_its_node_is_unavailable(configure: Configure, message: str) -> None:
    """Citus reports it as an internal error, on an intact connection."""
    configure(1)
    literal = message.replace("'", "''")

    def fail() -> None:
        with engine.transaction() as connection:
            value(
                connection,
                f"DO $$ BEGIN RAISE EXCEPTION '{literal}' USING ERRCODE = 'XX000'; END $$",
            )

    with pytest.raises(errors.Unavailable, match="node"):
        fail()


def test_pool_recovers_after_all_its_connections_ended(configure: Configure) -> None:
    configure(3)

    async def act() -> None:
        holders = await held(3)
        pids = [holder.connection.backend_pid for holder in holders]
        await holders.pop().end()
        terminate(*pids)
        for holder in holders:
            await holder.end()
        found = await asyncio.gather(*(start(ask) for _ in range(10)))
        assert not set(pids) & set(found)
        await assert_all_free(3)

    asyncio.run(act())


def test_connection_that_ends_in_use_raises_unavailable(configure: Configure) -> None:
    configure(1)

    def lose() -> None:
        with engine.autocommit() as connection:
            terminate(connection.backend_pid)
            value(connection, PID)

    async def act() -> None:
        with pytest.raises(errors.Unavailable, match="lost"):
            await bridge.run(lose)
        assert await bridge.run(ask)
        await assert_all_free(1)

    asyncio.run(act())


def test_connections_move_between_blocking_use_and_event_loops(configure: Configure) -> None:
    configure(1)

    pids = {call(ask) for call in (blocking, on_loop, on_loop, blocking, on_loop)}

    assert len(pids) == 1


@pytest.mark.parametrize("call", [blocking, on_loop])
def test_large_statements_and_results_are_complete(
    configure: Configure, call: Callable[..., object]
) -> None:
    configure(1)
    sent = "é%" * 5_000_000

    length = call(partial(ask, "SELECT length(%(sent)s)", sent=sent))
    echo = call(partial(ask, "SELECT %(sent)s", sent=sent))
    found = call(ask, "SELECT repeat('0123456789', 5000000)")

    assert length == len(sent)
    assert echo == sent
    assert found == "0123456789" * 5_000_000


def test_loop_goes_on_while_a_large_result_arrives(configure: Configure) -> None:
    configure(1)

    async def count() -> int:
        asking = start(ask, "SELECT repeat('0123456789', 5000000)")
        turns = 0
        while not asking.done():
            await asyncio.sleep(0)
            turns += 1
        assert len(str(await asking)) == 50_000_000
        return turns

    assert asyncio.run(count()) > 100
