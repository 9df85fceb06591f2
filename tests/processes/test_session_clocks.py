"""A clock that is set forward, as after a suspend, ends no session that is in use; those that are idle expire."""

from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._pool.sessions import sweeper
from snakepit._pool.sessions.access import StoreAccess
from snakepit._pool.sessions.entry import Entry
from store_kinds import maker

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

TOOLS = "session_tools:SessionTools"
TTL = 30.0


class Ahead:
    """How far somebody has set the clock forward (seconds)."""

    seconds = 0.0


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    """The clock of this process, to be set; the one of the machine is everybody's."""
    made, now = Ahead(), time.time
    monkeypatch.setattr(time, "time", lambda: now() + made.seconds)
    return made


def _clock() -> float:
    return time.time()


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: pathlib.Path, ahead: Ahead) -> Iterator[Any]:
    """One of each kind."""
    made = maker(request.param, request, tmp_path, _clock)()
    yield made
    made.close()


def test_a_session_with_open_calls_does_not_lapse(store: Any, ahead: Ahead) -> None:
    """Its calls give their results, new calls find its state, and so do those that end just then; an idle session is over."""
    with snakepit.Pool(TOOLS, size=2, session_store=store) as pool:
        busy, idle = pool.session("busy", ttl=TTL).open(), pool.session("idle", ttl=TTL).open()
        idle.execute("count")
        made, began = store.get("busy").created, time.time()
        running = busy.submit("sleep", {"seconds": 2.0})
        wait_until(lambda: pool.stats().running, "the call's begin")
        ahead.seconds += 3600
        pool.session("busy").open()  # finds it, and makes no other
        assert store.get("busy").created == made
        ahead.seconds += 3600
        assert busy.execute("has_session", timeout=10) is True
        wait_until(lambda: store.get("busy") is not None and store.get("busy").last_used > began + 7000, "its renewal")
        ahead.seconds += 3600  # found by the sweep alone
        wait_until(lambda: not store.touch(["busy"]), "its renewal by the sweep", timeout=2.0)
        engine: Any = pool._engine
        wait_until(lambda: "idle" not in engine.sessions._entries, "the end of the idle one", timeout=2.0)
        with pytest.raises(snakepit.SessionEnded):
            idle.execute("count")
        assert running.result(10) == "busy"
        assert store.get("busy").created == made
        wait_until(lambda: pool.stats().running == 0, "the end")
        assert store.get("busy").created == made


def test_a_call_that_ends_as_the_clock_is_set(store: Any, ahead: Ahead) -> None:
    """Its session's lifetime begins anew with its end, though it has lapsed meanwhile."""
    with snakepit.Pool(TOOLS, size=1, session_store=store) as pool:
        session = pool.session("s", ttl=TTL).open()
        for turn in range(8):
            running = session.submit("sleep", {"seconds": 0.05})
            wait_until(lambda: pool.stats().running, "the call's begin")
            ahead.seconds += 3600
            assert running.result(10) == "s"
            wait_until(lambda: store.get("s") is not None, f"its renewal, turn {turn}", timeout=2.0)


class Recording(snakepit.MemorySessionStore):
    """Says when it was asked to remove what has expired."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock=clock)
        self.removals: list[float] = []

    def expire(self) -> list[str]:
        self.removals.append(time.monotonic())
        return super().expire()


async def test_other_hosts_have_time_to_renew(ahead: Ahead) -> None:
    """A host that notices the jump removes nothing at once where others share the store: they renew first what they use."""
    store = Recording(_clock)
    store.open("theirs", ttl=TTL, metadata=None)
    mine, _ = store.open("mine", ttl=86_400.0, metadata=None)
    now = asyncio.get_running_loop().time()
    access = StoreAccess(store, owned=False)
    sweep = sweeper.Sweeper(access, {"mine": Entry("mine", mine.created, {}, mine.ttl, now, now, now)}, lambda *_: None)
    try:
        sweep.watch()
        async with asyncio.timeout(10):
            while not store.removals:  # noqa: ASYNC110 - the sweeps have no event
                await asyncio.sleep(0.01)
            ahead.seconds, set_at = 3600.0, time.monotonic()
            while store.removals[-1] < set_at:  # by then the others have swept too
                assert store.touch(["theirs"], lapsed=True) == set()
                await asyncio.sleep(0.01)
        assert store.removals[-1] - set_at >= sweeper.SPARE_SECONDS
        assert store.get("theirs") is not None
    finally:
        sweep.close()
        await access.close()
