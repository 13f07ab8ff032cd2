"""Greenlets run one function after another, and nothing of one reaches the next."""

import asyncio
import gc
import weakref
from contextvars import ContextVar

import pytest
from greenlet import getcurrent  # type: ignore[import-untyped]  # greenlet ships no type hints

from db.engine import bridge

variable = ContextVar("variable", default="unset")


class Value:
    """Something that a weak reference can watch."""


def current() -> object:
    bridge.wait(asyncio.sleep(0))
    return getcurrent()


def fail() -> None:
    bridge.wait(asyncio.sleep(0))
    raise ValueError("failed")


def test_run_uses_a_greenlet_again_when_its_function_has_returned() -> None:
    async def one_after_another() -> None:
        first = await bridge.run(current)
        assert await bridge.run(current) is first

    asyncio.run(one_after_another())


def test_run_uses_a_greenlet_for_each_function_that_has_not_returned() -> None:
    async def at_once() -> list[object]:
        return await asyncio.gather(*(bridge.run(current) for _ in range(100)))

    assert len(set(asyncio.run(at_once()))) == 100


def test_run_raises_what_the_function_raises_and_goes_on() -> None:
    async def failing() -> None:
        with pytest.raises(ValueError, match="failed"):
            await bridge.run(fail)
        assert await bridge.run(lambda: 1) == 1

    asyncio.run(failing())


def test_run_cancels_what_the_function_waits_for() -> None:
    ended: list[str] = []

    def hold() -> None:
        try:
            bridge.wait(asyncio.sleep(60))
        except asyncio.CancelledError:
            bridge.wait(asyncio.sleep(0))  # it may wait while it ends
            ended.append("ended")
            raise

    async def cancelling() -> None:
        task = asyncio.create_task(bridge.run(hold))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelling())
    assert ended == ["ended"]


def test_run_shares_the_context_of_its_caller_only() -> None:
    def change(value: str) -> str:
        before = variable.get()
        variable.set(value)
        bridge.wait(asyncio.sleep(0))
        return f"{before} {variable.get()}"

    async def task(value: str) -> str:
        return f"{await bridge.run(change, value)} {variable.get()}"

    async def tasks() -> list[str]:
        at_once = await asyncio.gather(task("a"), task("b"))
        return [*at_once, await asyncio.create_task(task("c"))]

    assert asyncio.run(tasks()) == ["unset a a", "unset b b", "unset c c"]


def test_run_keeps_neither_arguments_nor_result() -> None:
    async def run() -> weakref.ref[Value]:
        return weakref.ref(await bridge.run(lambda value: value, Value()))

    async def running() -> None:
        result = await run()
        gc.collect()
        assert result() is None

    asyncio.run(running())


def test_greenlets_of_a_thread_stay_in_it() -> None:
    async def in_threads() -> None:
        first = await bridge.run(current)
        other = await asyncio.to_thread(lambda: asyncio.run(bridge.run(current)))
        assert other is not first
        assert await bridge.run(current) is first

    asyncio.run(in_threads())


def test_can_wait_only_inside_run() -> None:
    assert not bridge.can_wait()
    assert asyncio.run(bridge.run(bridge.can_wait))
