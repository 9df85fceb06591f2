"""What the host does for a call does not depend on how many others wait, and a waiting call takes little memory. Counted, not timed."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc

import pytest

from operations import operations
from snakepit._pool import failures
from snakepit._pool.call import Call, Item
from snakepit._pool.engine import Engine
from snakepit._pool.stats import PoolStats
from snakepit.testing import AsyncMemoryPool
from snakepit_bridge import tool

FEW, MANY, MOST = 40, 3_000, 100_000
#: See `test_scheduler_scale`.
FACTOR = 1.5
#: What a waiting call with a deadline takes of the host's memory, its arguments and its caller's mailbox aside (bytes).
MEMORY = 1_400

ended = threading.Event()


@tool
def hold() -> None:
    ended.wait(60.0)


class Nowhere:
    """A mailbox that nobody looks into."""

    def put(self, item: Item, /) -> None: ...


NOWHERE = Nowhere()


class Waiting:
    """An engine whose one worker is busy, and so many calls that wait for it."""

    def __init__(self, engine: Engine, calls: int) -> None:
        self.engine = engine
        self.running = self.submit()
        self.calls = [self.submit() for _ in range(calls)]
        self.oldest = iter(self.calls)

    def submit(self) -> Call:
        call = self.engine.new_call("hold", {}, NOWHERE, streaming=False, timeout=60.0)
        self.engine.submit(call)
        return call

    # What is counted

    def call(self) -> None:
        self.calls.append(self.submit())

    def cancelled(self) -> None:
        self.engine.cancel(next(self.oldest), "nobody waits for it")

    def deadline(self) -> None:
        self.engine._calls._patience._deadline_passed(next(self.oldest))

    def stats(self) -> PoolStats:
        return self.engine.views.stats()

    def costs(self) -> dict[str, float]:
        found = {}
        for what in (self.call, self.cancelled, self.deadline, self.stats):
            for _ in range(2):
                what()
            found[what.__name__] = operations(lambda what=what: [what() for _ in range(10)]) / 10
        return found


async def costs(calls: int) -> dict[str, float]:
    ended.clear()
    async with AsyncMemoryPool([hold], size=1, queue_size=10**6) as pool:
        assert pool._engine is not None
        found = Waiting(pool._engine, calls).costs()
        pool._engine.draining.cut_off("it is closed", failures.closed_under)
        ended.set()
    return found


async def closing_cost(calls: int) -> float:
    """Of the end of each call when its pool is closed."""
    ended.clear()
    async with AsyncMemoryPool([hold], size=1, queue_size=10**6) as pool:
        engine = pool._engine
        assert engine is not None
        Waiting(engine, calls)
        count = operations(lambda: engine.draining.cut_off("it is closed", failures.closed_under))
        ended.set()
    return count / calls


def assert_same(many: dict[str, float], few: dict[str, float]) -> None:
    assert {what: count for what, count in many.items() if count > FACTOR * few[what]} == {}


def test_calls_cost_the_same() -> None:
    """One more, one fewer, a deadline, a look at the figures: with 3,000 waiting as with a few."""
    assert_same(asyncio.run(costs(MANY)), asyncio.run(costs(FEW)))


@pytest.mark.slow
def test_calls_cost_the_same_at_the_most() -> None:
    """With 100,000 likewise."""
    assert_same(asyncio.run(costs(MOST)), asyncio.run(costs(FEW)))


@pytest.mark.slow
def test_a_close_costs_the_same_for_each() -> None:
    """Whether 40 or 3,000 calls wait, the end of each takes as much."""
    assert asyncio.run(closing_cost(MANY)) <= FACTOR * asyncio.run(closing_cost(FEW))


async def memory(calls: int) -> float:
    ended.clear()
    async with AsyncMemoryPool([hold], size=1, queue_size=10**6) as pool:
        assert pool._engine is not None
        there = Waiting(pool._engine, 0)
        tracemalloc.start()
        for _ in range(calls):
            there.call()
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        ended.set()
    return taken / calls


def test_a_waiting_call_takes_little_memory() -> None:
    """With everything that is kept of it: books, place in the line, deadline."""
    assert asyncio.run(memory(500)) <= MEMORY


@tool
def pid() -> int:
    return 1


def workers_cost(workers: int) -> dict[str, float]:
    """Of each worker's start and end, and of each call, on the loop's thread."""
    pool = AsyncMemoryPool([pid], size=workers)

    async def start() -> None:
        await pool.start()
        async with asyncio.timeout(30):
            while pool.stats().workers_ready < workers:  # noqa: ASYNC110 - looked at seldom: what that takes is counted too
                await asyncio.sleep(0.25)

    async def calls() -> None:
        await asyncio.gather(*(pool.execute("pid") for _ in range(4 * workers)))

    with asyncio.Runner() as runner:
        return {
            "start": operations(lambda: runner.run(start())) / workers,
            "call": operations(lambda: runner.run(calls())) / workers,
            "close": operations(lambda: runner.run(pool.close())) / workers,
        }


@pytest.mark.slow
def test_workers_cost_the_same() -> None:
    """A worker's start, its calls and its end take as much among 400 workers as among 20."""
    assert_same(workers_cost(400), workers_cost(20))
