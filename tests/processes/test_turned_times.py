"""Deadlines, gaps and lifetimes to the second: pools on the memory channel, whose clock the tests turn."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

import snakepit
from snakepit.testing import AsyncMemoryPool, MemoryPool, TurnedClock
from snakepit_bridge import BaseAdapter, SessionContext, tool

pytestmark = pytest.mark.usefixtures("leaves_nothing")


class Slow(BaseAdapter):
    """Takes as long as it is told."""

    ended: list[str] = []

    @tool
    def nap(self, seconds: float) -> float | None:
        left = self.context.remaining
        time.sleep(seconds)
        return left

    @tool
    def gap(self, before: int, seconds: float, after: int):  # type: ignore[no-untyped-def]
        yield from range(before)
        time.sleep(seconds)
        yield from range(before, before + after)

    @tool
    def greet(self) -> str:
        return f"{self.session.state.setdefault('name', 'you')} of {self.session.id}"

    def on_session_end(self, session: SessionContext) -> None:
        self.ended.append(session.id)


@pytest.fixture
def clock() -> Iterator[TurnedClock]:
    with TurnedClock() as clock:
        yield clock


@pytest.fixture
def pool(clock: TurnedClock) -> Iterator[MemoryPool]:
    """One worker, of which hours are not counted by its beats."""
    with MemoryPool(Slow, size=1, heartbeat=False) as pool:
        pool.start()
        yield pool


def test_a_call_that_waits_too_long_for_a_worker(clock: TurnedClock) -> None:
    """It fails with `QueueTimeout` when `queue_timeout` is over, a stream too; one that runs is not touched by it."""
    with MemoryPool(Slow, size=1, queue_timeout=10.0) as pool:
        pool.start()
        began, running = clock.now, pool.submit("nap", {"seconds": 60.0}, timeout=None)
        with pytest.raises(snakepit.QueueTimeout, match=r"waited 10 s for a worker") as caught:
            pool.execute("nap", {"seconds": 1.0}, timeout=None)
        assert isinstance(caught.value, TimeoutError)
        assert clock.now - began == 10
        with pytest.raises(snakepit.QueueTimeout):
            next(iter(pool.stream("gap", {"before": 1, "seconds": 0.0, "after": 0}, timeout=None)))
        assert clock.now - began == 20
        assert running.result() is None
        assert clock.now - began == 60
        stats = pool.stats()
        assert stats.submitted == 3 == stats.succeeded + stats.failed + stats.cancelled + stats.timed_out + stats.crashed


def test_time_in_the_queue_is_taken_off(clock: TurnedClock, pool: MemoryPool) -> None:
    """What a call waited in the queue is missing from the time its tool has, to the second."""
    holder = pool.submit("nap", {"seconds": 7.0})
    assert pool.execute("nap", {"seconds": 0.0}, timeout=10.0) == 3.0
    assert holder.result() is None


def test_the_consumers_own_time_does_not_count(clock: TurnedClock, pool: MemoryPool) -> None:
    """A consumer that takes longer than `chunk_timeout` over a chunk gets the next one all the same."""
    got = []
    for value in pool.stream("gap", {"before": 3, "seconds": 6.0, "after": 3}, chunk_timeout=10.0).values():
        got.append(value)
        clock.advance(15)
    assert got == list(range(6))


def test_the_first_gap_counts_from_the_calls_start(clock: TurnedClock, pool: MemoryPool) -> None:
    """What a call waits in the queue is no part of it: neither is it too late for that, nor is any of it missing."""
    holder = pool.submit("nap", {"seconds": 8.0})
    stream = pool.stream("gap", {"before": 0, "seconds": 9.0, "after": 1}, chunk_timeout=10.0)
    first: list[object] = []
    reader = threading.Thread(target=lambda: first.append(next(stream)["data"]))
    reader.start()
    clock.advance(16.9)
    assert first == []
    clock.advance(0.2)
    assert first == [0]
    reader.join()
    stream.close()
    assert holder.done()


def test_chunk_timeout_of_the_async_face(clock: TurnedClock) -> None:
    """The same three there: a gap, to the second; the consumer's own time; and the time in the queue."""

    async def main() -> None:
        async with AsyncMemoryPool(Slow, size=1) as pool:
            await pool.start()
            began = clock.now
            with pytest.raises(snakepit.ChunkTimeout, match="gave no chunk for 5 s \\(after 2 chunks"):
                async for _ in pool.stream("gap", {"before": 2, "seconds": 60.0, "after": 0}, chunk_timeout=5.0):
                    pass
            assert clock.now - began == 5
            got = []
            async for value in pool.stream("gap", {"before": 2, "seconds": 1.0, "after": 2}, chunk_timeout=6.0).values():
                got.append(value)
                await asyncio.sleep(7.0)
            assert got == [0, 1, 2, 3]
            holder = asyncio.create_task(pool.execute("nap", {"seconds": 20.0}))
            await asyncio.sleep(0)
            began = clock.now
            assert (await anext(pool.stream("gap", {"before": 1, "seconds": 0.0, "after": 0}, chunk_timeout=5.0)))["data"] == 0
            assert clock.now - began == 20
            await holder

    clock.run(main())


def test_a_session_lives_as_long_as_its_ttl_says(clock: TurnedClock, pool: MemoryPool) -> None:
    """Each use is a new beginning, a call that runs holds it; then it expires, and its hook runs."""
    Slow.ended.clear()
    session = pool.session("s", ttl=3600.0)
    assert session.execute("greet") == "you of s"
    clock.advance(3500)
    assert session.execute("greet") == "you of s"
    clock.advance(3500)
    assert pool.session_info("s") is not None
    session.execute("nap", {"seconds": 7200.0}, timeout=None)
    assert pool.session_info("s") is not None
    clock.advance(3610)
    assert pool.session_info("s") is None
    assert Slow.ended == ["s"]
    with pytest.raises(snakepit.SessionEnded):
        session.execute("greet")
