"""What is done for sessions and open calls, at once or by the clock, does not depend on how many there are. Counted, not timed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from operations import operations
from snakepit._pool.call import Call, Ended, Item
from snakepit._pool.ledger import Ledger
from snakepit._pool.scheduler import Scheduler
from snakepit._pool.sessions.access import StoreAccess
from snakepit._pool.sessions.keeper import Keeper
from snakepit._sessions.memory import MemorySessionStore
from snakepit._sessions.records import Limits
from snakepit_bridge.wire.frames import Window

FEW, MANY, MOST = 10, 3_000, 100_000
#: See `test_scheduler_scale`.
FACTOR = 1.5


class Nowhere:
    """A mailbox that nobody looks into."""

    def put(self, item: Item, /) -> None: ...


def call_of(number: int, session_id: str = "", *, streaming: bool = False) -> Call:
    return Call(number, "tool", {}, streaming, None, Window(64, 64), Nowhere(), session_id=session_id)


class Sessions:
    """A Keeper of so many sessions, each with an open call; state of all is held by one worker."""

    def __init__(self, sessions: int) -> None:
        self.scheduler = Scheduler(10**9)
        self.scheduler.add_worker("worker-1", 1)
        access = StoreAccess(MemorySessionStore(Limits(max_sessions=10**9)), owned=True)
        self.keeper = Keeper(access, self.scheduler, 3600.0, lambda *_: None, lambda *_: None, lambda *_: None)
        self.number = 0
        for number in range(sessions):
            self.begin(f"session-{number}", "worker-1")

    def begin(self, session_id: str, worker_id: str) -> Call:
        self.number += 1
        call = call_of(self.number, session_id)
        self.keeper.admit(call, self.go, self.refuse)
        call.worker_id = worker_id
        self.keeper.options(call, worker_id, "")
        return call

    def go(self, call: Call) -> None:
        self.scheduler.submit(call.id, streaming=False, session=call.session_id)

    def refuse(self, _call: Call, error: Exception) -> None:
        raise error

    # What is counted

    def call(self) -> None:
        call = self.begin("session-1", "worker-1")
        self.keeper.answered(call, {})
        self.scheduler.withdraw(call.id)
        self.keeper.left(call)

    def session(self) -> None:
        self.begin("another", "worker-1")
        at_once(self.keeper.end("another"))

    def worker_lost(self) -> None:
        call = self.begin("another", "worker-2")
        self.scheduler.withdraw(call.id)
        self.keeper.left(call)
        self.keeper.worker_lost("worker-2", ["another"], "it died")
        at_once(self.keeper.end("another"))

    def sweep(self) -> None:
        sweeper = self.keeper._sweeper
        sweeper._full_at = float("-inf")  # it looks at everything
        sweeper._sweep()


def at_once(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run it; the store is memory, and it waits for nothing."""
    with pytest.raises(StopIteration):
        coroutine.send(None)


def costs(sessions: int) -> dict[str, float]:
    async def counted() -> dict[str, float]:
        there, found = Sessions(sessions), {}
        for what in (there.call, there.session, there.worker_lost, there.sweep):
            for _ in range(3):
                what()
            found[what.__name__] = operations(lambda what=what: [what() for _ in range(10)]) / 10
        await there.keeper.close()
        return found

    return asyncio.run(counted())


def assert_same(many: dict[str, float], few: dict[str, float]) -> None:
    assert {what: count for what, count in many.items() if count > FACTOR * few[what]} == {}


def test_sessions_cost_the_same() -> None:
    """A session's call, its begin and end, the loss of a worker, a look at what has expired: with 3,000 sessions as with a few."""
    assert_same(costs(MANY), costs(FEW))


@pytest.mark.slow
def test_sessions_cost_the_same_at_the_most() -> None:
    """With 100,000 likewise."""
    assert_same(costs(MOST), costs(FEW))


def closing_cost(streams: int) -> int:
    """Of the ends of ten calls while a pool that closes waits for them, beside so many streams."""
    with asyncio.Runner() as runner:
        ledger = runner.run(made(streams))
        return operations(lambda: runner.run(closing(ledger)))


async def made(streams: int) -> Ledger:
    ledger = Ledger()
    for number in range(streams):
        ledger.enter(call_of(number, streaming=True))
    return ledger


async def closing(ledger: Ledger) -> None:
    calls = [call_of(-number) for number in range(1, 11)]
    for call in calls:
        ledger.enter(call)
    waiting = asyncio.create_task(ledger.calls_ended(unary_only=True))
    for call in calls:
        await asyncio.sleep(0)
        assert not waiting.done()
        ledger.tell(call, Ended(None, {}))
        ledger.leave(call)
    async with asyncio.timeout(5):
        await waiting


def test_the_end_of_a_call_costs_a_closing_pool_the_same() -> None:
    """A pool that lets its calls end before it closes does not look at all others when one has."""
    assert closing_cost(MANY) <= FACTOR * closing_cost(FEW)
