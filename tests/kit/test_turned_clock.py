"""Under the turned clock hours pass in milliseconds, in the right order, and nothing is late."""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import threading
import time
from typing import Any

import pytest

import snakepit
from snakepit.testing import AsyncMemoryPool, ClockStuck, Fault, Faults, MemoryPool, TurnedClock
from snakepit_bridge import BaseAdapter, tool

pytestmark = pytest.mark.usefixtures("leaves_nothing")

HOUR = 3600.0


class Tools(BaseAdapter):
    """Tools that take their time."""

    @tool
    def nap(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @tool
    def doze(self, seconds: float) -> str:
        """Looks around now and then."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.5)
        return "rested"

    @tool
    def deaf(self) -> None:
        until = time.monotonic() + 300
        while time.monotonic() < until:
            try:
                time.sleep(1)
            except BaseException:
                continue


class AsyncTools(BaseAdapter):
    """The same on a loop."""

    @tool
    async def nap(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds


def test_every_wait_takes_turned_time() -> None:
    """Sleep, queues, events, futures, joins, loops: an hour each, exactly, in no time; what is set meanwhile wakes at once."""
    really = time.perf_counter()
    with TurnedClock() as clock:
        began, event, items = clock.now, threading.Event(), queue.Queue[int]()
        time.sleep(HOUR)
        assert not event.wait(HOUR)
        with pytest.raises(queue.Empty):
            items.get(timeout=HOUR)
        with pytest.raises(queue.Empty):
            queue.SimpleQueue[int]().get(timeout=HOUR)
        with pytest.raises(concurrent.futures.TimeoutError):
            concurrent.futures.Future[int]().result(HOUR)
        thread = threading.Thread(target=lambda: (time.sleep(2 * HOUR), event.set(), items.put(3)))
        thread.start()
        thread.join(HOUR)
        assert thread.is_alive()
        assert event.wait(2 * HOUR)
        assert clock.now - began == 7 * HOUR
        thread.join()
        assert items.get(timeout=1) == 3
        clock.run(asyncio.sleep(HOUR))
        assert clock.now - began == time.monotonic() - began == 8 * HOUR
    assert time.perf_counter() - really < 5


def test_a_deadline_comes_on_the_second() -> None:
    """The caller is told at its deadline; a tool that does not listen costs its worker after `cancel_timeout`, no sooner."""
    with TurnedClock() as clock, MemoryPool(Tools, size=1, cancel_timeout=5.0) as pool:
        began = clock.now
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("deaf", timeout=60)
        assert clock.now - began == 60
        clock.advance(4.9)
        assert pool.stats().killed == 0
        clock.advance(0.2)
        assert pool.stats().killed == 1
        assert pool.execute("nap", {"seconds": 1.0}) == 1.0


def test_a_tool_that_looks_around_is_interrupted_in_turned_time() -> None:
    """The worker's own rungs go by the same clock: the exception comes, and the worker stays."""
    with TurnedClock() as clock, MemoryPool(Tools, size=1, cancel_timeout=5.0) as pool:
        future = pool.submit("doze", {"seconds": HOUR}, timeout=None)
        clock.advance(60)
        future.cancel()
        began = clock.now
        assert pool.execute("nap", {"seconds": 0.0}) == 0.0
        assert clock.now - began <= 1.0
        assert pool.stats().killed == 0


def test_a_queue_timeout_and_async_tools_go_by_it() -> None:
    """A call that waits too long is refused on the second; four naps on two workers take as long as two."""
    with TurnedClock() as clock:
        with MemoryPool(Tools, size=1, queue_timeout=30.0) as pool:
            began, running = clock.now, pool.submit("nap", {"seconds": 60.0}, timeout=None)
            with pytest.raises(snakepit.SnakepitError, match="30 s"):
                pool.execute("nap", {"seconds": 0.0}, timeout=None)
            assert clock.now - began == 30
            assert running.result() == 60.0

        async def naps() -> float:
            began = clock.now
            async with AsyncMemoryPool(AsyncTools, size=2) as pool:
                assert await asyncio.gather(*(pool.execute("nap", {"seconds": 100.0}, timeout=None) for _ in range(4))) == [100.0] * 4
                return clock.now - began

        assert clock.run(naps()) == 200.0


def test_a_worker_that_no_longer_answers_is_replaced_in_turned_time() -> None:
    """Its pongs are dropped: after three missed beats of ten seconds its call fails, and another worker serves."""
    faults = Faults.script([Fault("drop", frame) for frame in range(1, 100)])
    with TurnedClock() as clock, MemoryPool(Tools, size=1, heartbeat=snakepit.Heartbeat(), faults=faults) as pool:
        began = clock.now
        with pytest.raises(snakepit.WorkerCrashed, match="3 heartbeats"):
            pool.execute("doze", {"seconds": HOUR}, timeout=None)
        assert 30 <= clock.now - began <= 40
        assert pool.execute("nap", {"seconds": 1.0}) == 1.0


def test_the_seed_decides_who_runs_first() -> None:
    """The same seed, the same order; other seeds, other orders."""

    def order(seed: int | None) -> list[int]:
        said: list[int] = []
        with TurnedClock(seed=seed):
            threads = [threading.Thread(target=said.append, args=(number,)) for number in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return said

    assert order(None) == list(range(6))
    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) > 5


def test_what_has_got_stuck_says_where() -> None:
    """A call that never ends and has no deadline is told after `limit`, with the threads and what they wait in."""
    stuck = pytest.raises(ClockStuck, match=r"(?s)more than 1000 s of turned time.*MainThread waits.*nap")
    with stuck, TurnedClock(limit=1000), MemoryPool(Tools, size=1, cancel_timeout=0.1, close_timeout=0.1) as pool:
        pool.execute("nap", {"seconds": 2000.0}, timeout=None)


def test_a_clock_is_refused_where_time_could_not_be_turned() -> None:
    """With a pool open, inside of a loop, or under another one; after its end time goes on as ever."""
    with MemoryPool(Tools, size=1) as pool:
        pool.execute("nap", {"seconds": 0.0})
        with pytest.raises(snakepit.ConfigurationError, match="a pool is open"), TurnedClock():
            pass

    async def inside() -> None:
        with TurnedClock():
            pass

    with pytest.raises(snakepit.ConfigurationError, match="a loop runs"):
        asyncio.run(inside())
    with TurnedClock(), pytest.raises(snakepit.ConfigurationError, match="turned already"), TurnedClock():
        pass
    began: Any = time.monotonic()
    assert 0 < threading.Event().wait(0.01) + time.monotonic() - began < 5
