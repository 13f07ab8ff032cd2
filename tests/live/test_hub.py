"""The hub, without a server: how often it polls, and that nobody misses a change."""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import pytest
from starlette.types import Message

from agent_api.http import problems, request_context
from agent_api.live import hub as hubs
from agent_api.live.hub import BATCH, QUEUES, TICK_SECONDS, Hub, Name
from agent_api.live.topic import Topic, Value
from agent_api.live.watching import watch
from db.engine import bridge
from db.errors import Unavailable

RUN = ("run", "1", "user")


class Source:
    """Values that polls read, and the polls themselves."""

    def __init__(self) -> None:
        self.values: dict[Name, Value] = {}
        self.polls: list[Sequence[Name]] = []
        self.polled_twice = asyncio.Event()
        self.is_away = False

    def poll(self, names: Sequence[Name]) -> dict[Name, Value]:
        self.polls.append(names)
        if len(self.polls) == 2:
            self.polled_twice.set()
        if self.is_away:
            raise Unavailable("away")
        return self.values


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def hub(source: Source) -> Hub:
    return Hub(source.poll, max_streams=2, max_streams_per_user=1)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await coroutine

    asyncio.run(bounded())


async def wait(topic: Topic, seen: Value, seconds: float = 10) -> bool:
    return await topic.wait(topic.version, seen, seconds)


def test_hub_polls_only_while_somebody_waits(hub: Hub, source: Source) -> None:
    async def story() -> None:
        await asyncio.sleep(2 * TICK_SECONDS)
        assert source.polls == []
        with hub.topic(RUN) as topic:
            assert not await wait(topic, (0,), 5 * TICK_SECONDS)
        seen = len(source.polls)
        await asyncio.sleep(3 * TICK_SECONDS)
        assert 2 <= seen <= len(source.polls) <= seen + 1 <= 6

    run(story())


def test_poll_wakes_those_who_have_not_seen_the_value(hub: Hub, source: Source) -> None:
    async def story() -> None:
        with hub.topic(RUN) as topic:
            source.values[RUN] = (5, 0)
            behind, level = wait(topic, (4, 0)), wait(topic, (5, 0), 3 * TICK_SECONDS)
            assert [*await asyncio.gather(behind, level)] == [True, False]
            source.values[RUN] = (5, 1)
            assert await wait(topic, (5, 0))

    run(story())


def test_write_between_read_and_wait_is_not_missed(hub: Hub) -> None:
    async def story() -> None:
        with hub.topic(RUN) as topic:
            version = topic.version
            hub.wake(RUN)  # while the stream reads
            assert await topic.wait(version, (0,), 10)
            topic.update((7,))  # another stream has read more
            assert await wait(topic, (6,))

    run(story())


def test_streams_that_wake_together_share_a_read_but_not_an_older_one(hub: Hub) -> None:
    async def story() -> None:
        reads: list[int] = []

        async def read() -> int:
            reads.append(len(reads))
            await asyncio.sleep(0.05)
            return reads[-1]

        with hub.topic(RUN) as topic:
            together = [topic.read((1, topic.version), read) for _ in range(3)]
            first = asyncio.gather(*together)
            await asyncio.sleep(0.01)
            hub.wake(RUN)
            later = await topic.read((1, topic.version), read)
        await first
        assert reads == [0, 1]
        assert later == 1

    run(story())


def test_poll_asks_for_a_batch_of_topics_in_turn(hub: Hub, source: Source) -> None:
    async def story() -> None:
        names = [("run", str(number), "user") for number in range(BATCH + 10)]
        opened = [hub.topic(name) for name in names]
        for each in opened:
            each.__enter__()
        await asyncio.wait_for(source.polled_twice.wait(), 60)
        for each in opened:
            each.__exit__(None, None, None)
        assert list(source.polls[0]) == names[:BATCH]
        assert list(source.polls[1])[:10] == names[BATCH:]

    run(story())


def test_queues_of_claims_do_not_delay_streams(hub: Hub, source: Source) -> None:
    async def story() -> None:
        queues = [("queue", str(number)) for number in range(2 * QUEUES)]
        runs = [("run", str(number), "user") for number in range(3)]
        opened = [hub.topic(name) for name in (*queues, *runs)]
        for each in opened:
            each.__enter__()
        await asyncio.wait_for(source.polled_twice.wait(), 60)
        for each in opened:
            each.__exit__(None, None, None)
        assert list(source.polls[0]) == [*runs, *queues[:QUEUES]]
        assert list(source.polls[1]) == [*runs, *queues[QUEUES:]]

    run(story())


@pytest.mark.slow
def test_polls_continue_after_the_database_was_away(hub: Hub, source: Source) -> None:
    async def story() -> None:
        source.is_away = True
        with hub.topic(RUN) as topic:
            assert not await wait(topic, (0,), 2 * TICK_SECONDS)
            source.is_away = False
            source.values[RUN] = (1,)
            assert await wait(topic, (0,))

    run(story())


def test_watch_sees_a_change_since_the_last_wait(hub: Hub) -> None:
    async def receive() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    def claim() -> None:
        with watch([RUN, ("run", "2", "user")], user_id="worker") as watched:
            hub.wake(("run", "2", "user"))
            began = time.monotonic()
            watched.wait(10)
            assert time.monotonic() < began + 5
            watched.wait(0.05)
            hub.close()
            with pytest.raises(problems.Unavailable):
                watched.wait(10)

    async def story() -> None:
        hubs.current.set(hub)
        request_context.receive.set(receive)
        await bridge.run(claim)

    run(story())


def test_value_that_falls_after_a_failover_wakes_once(hub: Hub, source: Source) -> None:
    async def story() -> None:
        with hub.topic(RUN) as topic:
            topic.update((9, 0))
            source.values[RUN] = (5, 0)
            assert await wait(topic, (9, 0))
            assert not await wait(topic, (5, 0), 3 * TICK_SECONDS)
            source.values[RUN] = (6, 0)
            assert await wait(topic, (5, 0))

    run(story())
