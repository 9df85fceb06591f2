"""The lifetimes of sessions, on a clock that is told the time: whatever calls come and go, what is in use does not expire."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit._pool.call import Call, Item
from snakepit._pool.scheduler import Scheduler
from snakepit._pool.sessions import sweeper
from snakepit._pool.sessions.access import StoreAccess
from snakepit._pool.sessions.keeper import Keeper
from snakepit._sessions.memory import MemorySessionStore
from snakepit._sessions.records import Limits
from snakepit_bridge.wire.frames import Window

TTLS = [0.5, 0.9, 1.1, 3.0, 20.0, 400.0]


class Told(asyncio.SelectorEventLoop):
    """A loop whose clock stands still until it is set forward."""

    now = 1000.0

    def time(self) -> float:
        return self.now


class Step(NamedTuple):
    """Time passes, then a call of a session comes, or the oldest of its calls ends; `ttl`: its lifetime is set."""

    seconds: float
    session: int
    ends: bool
    ttl: float


class Nowhere:
    """A mailbox that nobody looks into."""

    def put(self, item: Item, /) -> None: ...


class Sessions:
    """A Keeper on such a loop, and what must be there by what has happened."""

    def __init__(self, loop: Told) -> None:
        self.loop = loop
        self.store = MemorySessionStore(Limits(), clock=loop.time)
        self.over: list[str] = []
        access = StoreAccess(self.store, owned=True)
        self.keeper = Keeper(access, Scheduler(10**6), 3600.0, lambda *_: None, self.over.append, lambda *_: None)
        self.calls: dict[str, list[Call]] = {}
        self.used: dict[str, float] = {}  # when its lifetime began anew by a call, at the latest
        self.ttls: dict[str, float] = {}
        self.number = 0

    def pass_time(self, seconds: float) -> None:
        """Sweep as often as the loop would have."""
        end = self.loop.now + seconds
        while self.loop.now < end:
            timer = self.keeper._sweeper._timer
            if timer is None or timer.when() > end:
                self.loop.now = end
                break
            self.loop.now = max(self.loop.now, timer.when())
            timer.cancel()
            self.keeper._sweeper._sweep()
            self.check()

    def step(self, step: Step) -> None:
        self.pass_time(step.seconds)
        session_id = f"session-{step.session}"
        calls = self.calls.setdefault(session_id, [])
        if step.ends and calls:
            self.keeper.left(calls.pop(0))
            self.used[session_id] = self.loop.now
        elif not step.ends:
            opening = self.keeper.open(session_id, step.ttl, None)
            try:
                opening.send(None)
            except StopIteration:
                self.ttls[session_id] = step.ttl
            self.number += 1
            call = Call(self.number, "tool", {}, False, None, Window(64, 64), Nowhere(), session_id=session_id)
            self.keeper.admit(call, calls.append, self.refuse)
            self.used[session_id] = self.loop.now
        self.check()

    def refuse(self, _call: Call, error: Exception) -> None:
        raise error

    def check(self) -> None:
        there = {info.id for info in self.store.sessions()}
        for session_id, ttl in self.ttls.items():
            if self.calls[session_id]:
                assert session_id in there, f"{session_id} has an open call, and has expired"
            elif self.loop.now > self.used[session_id] + ttl + 2 * sweeper.SWEEP_SECONDS:
                assert session_id not in self.keeper._entries, f"{session_id} has no open calls, and is kept"


_STEPS = st.lists(
    st.builds(Step, st.sampled_from([0.0, 0.1, 0.6, 2.0, 70.0]), st.integers(0, 3), st.booleans(), st.sampled_from(TTLS)), max_size=25
)


@pytest.mark.slow
@given(steps=_STEPS)
def test_what_is_in_use_does_not_expire(steps: list[Step]) -> None:
    """A session with open calls is there however long they run, and one without is gone soon after its lifetime."""
    loop = Told()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(_play(loop, steps))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _play(loop: Told, steps: list[Step]) -> None:
    sessions = Sessions(loop)
    for step in steps:
        sessions.step(step)
    for calls in sessions.calls.values():
        for call in calls:
            sessions.keeper.left(call)
        calls.clear()
    sessions.used = dict.fromkeys(sessions.used, loop.now)
    sessions.pass_time(1000.0)
    assert sessions.keeper._entries == {}
    assert not sessions.keeper._sweeper._looks
    assert not sessions.keeper._held
    await sessions.keeper.close()
