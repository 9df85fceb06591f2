"""A pool that is drained takes no new calls and lets those that it has end, within a bound."""

from __future__ import annotations

import asyncio
import pathlib
import threading
import time

import pytest

import snakepit
from pool_helpers import ASYNC_TOOLS, TOOLS, Marks, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


def drained_by_another_thread(pool: snakepit.Pool, timeout: float | None = 20.0) -> tuple[threading.Thread, list[snakepit.Drained]]:
    """(the thread that drains, where its result will be); the pool is draining when this returns."""
    results: list[snakepit.Drained] = []
    thread = threading.Thread(target=lambda: results.append(pool.drain(timeout)))
    thread.start()
    wait_until(lambda: pool.stats().draining, "the draining")
    return thread, results


def test_what_runs_and_what_waits_ends(marks: Marks) -> None:
    """Calls that run, wait or stream end as usual; new ones are refused, whatever their kind; then `close` is quick."""
    pool = snakepit.Pool(TOOLS, size=2, close_timeout=5.0)
    stream = pool.stream("gap", {"folder": marks.text, "before": 1, "after": 3})
    next(stream)
    running = pool.submit("until", {"folder": marks.text, "name": "go"})
    marks.wait("started")
    waiting = [pool.submit("add", {"a": number}) for number in range(5)]
    thread, results = drained_by_another_thread(pool)
    for call in (lambda: pool.execute("pid"), lambda: pool.stream("endless"), lambda: pool.submit("pid"), pool.tools.pid):
        with pytest.raises(snakepit.PoolDraining, match="takes no new calls"):
            call()
    assert (repr(pool), pool.health().draining, pool.health().status) == ("<Pool of 2, draining>", True, "degraded")
    marks.say("go")
    assert len(list(stream)) >= 3
    thread.join(20)
    assert results == [snakepit.Drained(0)]
    assert results[0]
    assert [future.result(timeout=0) for future in [running, *waiting]] == ["go", 1, 2, 3, 4, 5]
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 3
    assert not pool.stats().draining
    with pytest.raises(snakepit.PoolClosed, match="the pool is closed"):
        pool.execute("pid")


def test_what_does_not_end_in_time_is_cut_off(marks: Marks) -> None:
    """Within `timeout`; its callers are told so, also those whose calls waited, and the drain says how many they were."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        running = pool.submit("hold", {"folder": marks.text})
        marks.wait("started")
        waiting = pool.submit("pid")
        began = time.monotonic()
        drained = pool.drain(timeout=0.3)
        assert 0.3 <= time.monotonic() - began < 2
        assert (drained.complete, bool(drained), drained.cut_off) == (False, False, 2)
        for future in (running, waiting):
            error = future.exception(timeout=0)
            assert isinstance(error, snakepit.PoolDraining)
            assert "did not end within 0.3 s" in str(error)
        assert (pool.stats().cancelled, pool.stats().draining) == (2, True)


def test_a_running_call_gets_what_it_needs(marks: Marks) -> None:
    """Calls that its host tools make in the pool are still taken."""
    with snakepit.Pool("pool_drain_tools:Asks", size=2) as pool:

        @pool.host_tool
        def double(value: int) -> int:
            marks.say("asked")
            marks.wait("draining")
            return int(pool.execute("twice", {"value": value}))

        future = pool.submit("ask", {"value": 21})
        marks.wait("asked")
        thread, results = drained_by_another_thread(pool)
        marks.say("draining")
        assert future.result(timeout=10) == 42
        thread.join(10)
        assert results == [snakepit.Drained(0)]


def test_a_crash_while_it_drains(marks: Marks) -> None:
    """The worker is replaced, and calls that wait are served by the next one."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        falling = pool.submit("leave", {"code": 4, "words": "bye"})
        waiting = pool.submit("add", {"a": 1})
        assert pool.drain()
        assert isinstance(falling.exception(timeout=0), snakepit.WorkerCrashed)
        assert waiting.result(timeout=0) == 2


def test_close_while_it_drains(marks: Marks) -> None:
    """A close does not wait for the drain, which says what was cut off."""
    pool = snakepit.Pool(TOOLS, size=1)
    future = pool.submit("hold", {"folder": marks.text})
    marks.wait("started")
    thread, results = drained_by_another_thread(pool, None)
    began = time.monotonic()
    pool.close()
    thread.join(10)
    assert time.monotonic() - began < 5
    assert results == [snakepit.Drained(1)]
    assert type(future.exception(timeout=0)) is snakepit.PoolClosed


def test_twice_and_by_several_at_once(marks: Marks) -> None:
    """All who drain wait for the same calls; a pool that is closed, or has not started, is drained at once."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        future = pool.submit("until", {"folder": marks.text, "name": "go"})
        both = [drained_by_another_thread(pool) for _ in range(2)]
        marks.say("go")
        for thread, results in both:
            thread.join(10)
            assert results == [snakepit.Drained(0)]
        assert future.result(timeout=0) == "go"
        assert pool.drain()
    assert pool.drain()
    unused = snakepit.Pool(TOOLS, size=1)
    assert unused.drain()
    with pytest.raises(snakepit.PoolClosed):
        unused.execute("pid")
    with pytest.raises(snakepit.InvalidParameter, match="timeout is 0"):
        unused.drain(0)


async def test_the_async_face(marks: Marks) -> None:
    """The same on the async face; what was submitted just before is not refused."""
    async with snakepit.AsyncPool(ASYNC_TOOLS, size=1) as pool:
        before = pool.submit("pid")
        assert await pool.drain()
        assert await before
        with pytest.raises(snakepit.PoolDraining):
            await pool.execute("pid")
        with pytest.raises(snakepit.PoolDraining):
            pool.stream("ticks")
    assert await pool.drain()


async def test_the_async_face_is_bounded(marks: Marks) -> None:
    """What does not end is cut off there, too; a drain that is itself cancelled cuts nothing off."""
    async with snakepit.AsyncPool(ASYNC_TOOLS, size=1) as pool:
        task = asyncio.create_task(pool.execute("hold", {"folder": marks.text}, timeout=None))
        await asyncio.to_thread(wait_until, lambda: pool.stats().running == 1, "the call")
        draining = asyncio.create_task(pool.drain(None))
        await asyncio.to_thread(wait_until, lambda: pool.stats().draining, "the draining")
        draining.cancel()
        await asyncio.wait([draining])
        assert not task.done()
        assert (await pool.drain(0.1)).cut_off == 1
        with pytest.raises(snakepit.PoolDraining):
            await task
