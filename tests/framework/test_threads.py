"""Calls that run in threads: each runs once or not at all, and each gets its own result.

These tests run in process, because only there can they pause a call at any point.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator

import pytest

from agent_api.middleware.threads import QueueTimeout, Threads

NAME = contextvars.ContextVar("NAME", default="nobody")


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """An event that threads wait for; it is set at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


def with_thread_name(number: int) -> tuple[int, str]:
    return number, threading.current_thread().name


def run(
    story: Callable[[Threads], Coroutine[None, None, None]], *, count: int = 1, timeout: float = 60
) -> None:
    threads = Threads(count, name="test", timeout=timeout)
    asyncio.run(asyncio.wait_for(story(threads), 60))
    threads.shutdown()
    assert not [t for t in threading.enumerate() if t.name.startswith("test_")]


def test_call_returns_result_or_raises_in_the_caller() -> None:
    async def story(threads: Threads) -> None:
        NAME.set("alice")

        assert await threads.run(divmod, 7, 2) == (3, 1)
        assert await threads.run(NAME.get) == "alice"
        with pytest.raises(ZeroDivisionError):
            await threads.run(divmod, 7, 0)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await threads.run(next, iter(()))

    run(story)


def test_concurrent_calls_get_their_own_results_from_a_limited_number_of_threads() -> None:
    async def story(threads: Threads) -> None:
        found = await asyncio.gather(
            *(threads.run(with_thread_name, number) for number in range(2000))
        )

        assert [number for number, _ in found] == list(range(2000))
        assert {name for _, name in found} <= {"test_0", "test_1", "test_2"}

    run(story, count=3)


def test_cancelled_call_is_not_started(gate: threading.Event) -> None:
    made: list[str] = []

    async def story(threads: Threads) -> None:
        first = asyncio.create_task(threads.run(gate.wait))
        second = asyncio.create_task(threads.run(made.append, "second"))
        await asyncio.sleep(0.1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        gate.set()
        await first
        await threads.run(made.append, "third")

    run(story)

    assert made == ["third"]


def test_call_that_waits_too_long_is_overdue_and_never_started(gate: threading.Event) -> None:
    made: list[str] = []

    async def story(threads: Threads) -> None:
        first = asyncio.create_task(threads.run(gate.wait))
        await asyncio.sleep(0.1)
        with pytest.raises(QueueTimeout):
            await threads.run(made.append, "second")
        gate.set()
        assert await first is True  # it had started, so it may take longer
        await threads.run(made.append, "third")

    run(story, timeout=0.2)

    assert made == ["third"]


def test_existing_threads_keep_working_if_no_new_one_can_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def story(threads: Threads) -> None:
        with monkeypatch.context() as system:
            system.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="can't start"):
                await threads.run(len, "")
        assert await threads.run(len, "a") == 1
        with monkeypatch.context() as system:
            system.setattr(threading.Thread, "start", refuse)
            found = await asyncio.gather(*(threads.run(len, "ab") for _ in range(20)))
        assert found == [2] * 20
        assert await threads.run(len, "abc") == 3

    run(story, count=2)
