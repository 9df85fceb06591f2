"""Pools that share a store, stores that fail under a running pool and come back, and what then happens to calls."""

from __future__ import annotations

import asyncio
import logging
import pathlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import Marks, all_ready, wait_until
from snakepit._sessions.memory import MemorySessionStore
from store_servers import redis

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS, ENDING = "session_tools:SessionTools", "session_moving_tools:Ending"


class ShakyStore(MemorySessionStore):
    """Does not answer while it is `down`. What a store raises is its own business.

    Args:
        blocking: does it say that it does I/O?
    """

    def __init__(self, *, blocking: bool) -> None:
        super().__init__()
        self.blocking = blocking
        self.down = False
        self.hangs = threading.Event()
        self.hangs.set()

    def _alive(self, session_id: str, now: float) -> Any:  # what every look at a session comes to
        self.hangs.wait(10)
        if self.down:
            raise ConnectionError("no such disk")
        return super()._alive(session_id, now)

    def expire(self) -> list[str]:
        if self.down:
            raise ConnectionError("no such disk")
        return super().expire()


@pytest.fixture(params=[False, True], ids=["memory", "blocking"])
def store(request: pytest.FixtureRequest) -> Iterator[ShakyStore]:
    """A store of each kind, which hangs no more when the test is over."""
    store = ShakyStore(blocking=request.param)
    yield store
    store.hangs.set()


# several hosts -----------------------------------------------------------------------------------------------------------------


def _shared(kind: str, folder: pathlib.Path) -> Any:
    return MemorySessionStore() if kind == "memory" else f"sqlite:///{folder}/sessions.db"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_session_that_another_host_made_anew_is_another(kind: str, tmp_path: pathlib.Path) -> None:
    """Its state is not the old one's, which has left the worker with its end hook, without a call."""
    marks = Marks(tmp_path)
    store = _shared(kind, tmp_path / "store")
    with snakepit.Pool(ENDING, size=1, session_store=store) as ours, snakepit.Pool(ENDING, size=1, session_store=store) as theirs:
        theirs.session("x", metadata={"folder": marks.text}).open()
        assert [ours.execute("count", session_id="x") for _ in range(3)] == [1, 2, 3]
        theirs.end_session("x")
        theirs.session("x", metadata={"folder": marks.text}).execute("count")
        marks.wait("ended-x-3", timeout=2.0)
        assert ours.execute("count", session_id="x") == 1


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_ends_and_expiries_of_other_hosts_reach_our_workers(kind: str, tmp_path: pathlib.Path) -> None:
    """The state leaves them within about a second, whoever ended the session or found it expired."""
    marks = Marks(tmp_path)
    store = _shared(kind, tmp_path / "store")
    with snakepit.Pool(ENDING, size=1, session_store=store) as ours, snakepit.Pool(ENDING, size=1, session_store=store) as theirs:
        for session_id, ttl in (("ended", 60.0), ("expired", 0.6), ("theirs", 60.0)):
            pool = theirs if session_id == "theirs" else ours
            pool.session(session_id, ttl=ttl, metadata={"folder": marks.text}).execute("count")
        assert theirs.end_session("ended") is True
        marks.wait("ended-ended-1", timeout=2.0)
        marks.wait("ended-expired-1", timeout=2.5)
        assert "ended-theirs-1" not in marks.said


def test_another_pools_change_of_metadata_is_seen() -> None:
    """Also in one memory store, by the next call."""
    store = MemorySessionStore()
    with snakepit.Pool(TOOLS, size=1, session_store=store) as ours, snakepit.Pool(TOOLS, size=1, session_store=store) as theirs:
        assert ours.execute("metadata", session_id="x") == {}
        theirs.session("x").update(lambda _: {"user": "ann"})
        assert ours.execute("metadata", session_id="x") == {"user": "ann"}


# races -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("busy", [False, True])
async def test_opening_and_the_first_call_at_once(busy: bool, tmp_path: pathlib.Path) -> None:
    """Neither ends the other, also when the loop is late to look at the store's answers."""
    async with snakepit.AsyncPool("session_moving_tools:Crowded", size=1, session_store=f"sqlite:///{tmp_path}/s.db") as pool:
        await pool.execute("count")
        for number in range(25):
            opening = asyncio.create_task(pool.session(f"s{number}").open())
            calling = asyncio.create_task(pool.execute("count", session_id=f"s{number}"))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if busy:
                time.sleep(0.01)  # noqa: ASYNC251 - the loop has something else to do
            await asyncio.gather(opening, calling)


async def test_ending_and_opening_anew_at_once(tmp_path: pathlib.Path) -> None:
    """Calls that come after the end was asked for belong to the new session."""
    async with snakepit.AsyncPool("session_moving_tools:Crowded", size=1, session_store=f"sqlite:///{tmp_path}/s.db") as pool:
        for number in range(25):
            name = f"s{number}"
            await pool.execute("count", session_id=name)
            ending = asyncio.create_task(pool.end_session(name))
            await asyncio.sleep(0)
            opening, calling = asyncio.create_task(pool.session(name).open()), asyncio.create_task(pool.execute("count", session_id=name))
            await asyncio.sleep(0)
            time.sleep(0.005)  # noqa: ASYNC251 - the loop has something else to do
            assert await ending is True
            await opening
            assert (await calling)["count"] == 1


# stores that fail ----------------------------------------------------------------------------------------------------------------


def test_a_store_that_fails_fails_the_calls_of_sessions_only(store: ShakyStore, caplog: pytest.LogCaptureFixture) -> None:
    """A call that runs ends well, further ones say what the store raised, others go on; it is warned of once, and its end told."""
    with snakepit.Pool(TOOLS, size=1, session_store=store) as pool:
        session = pool.session("s")
        session.execute("count")
        running = session.submit("sleep", {"seconds": 0.3})
        wait_until(running.running, "a running call")
        store.down = True
        assert running.result(timeout=5) == "s"
        wait_until(lambda: "the session store does not answer" in caplog.text, "the warning")
        time.sleep(1.1)  # for so long a store that does I/O is believed
        with pytest.raises(snakepit.SessionStoreError, match="no such disk"):
            session.execute("count", timeout=5)
        assert pool.execute("count", timeout=5)["count"] == 1
        pool.submit("sleep", {"seconds": 0.0}).result(timeout=5)
        store.down = False
        assert session.execute("count", timeout=5)["count"] == 2
        wait_until(lambda: "answers again" in caplog.text, "word of its end")
        assert [record.levelno for record in caplog.records if record.name == "snakepit.sessions"] == [logging.WARNING] * 2
        assert pool.stats().restarts == 0


def test_what_was_used_while_the_store_was_down_is_told_later() -> None:
    """A session that was used in an outage does not expire soon after it."""
    store = ShakyStore(blocking=True)
    with snakepit.Pool(TOOLS, size=1, session_store=store) as pool:
        session = pool.session("s", ttl=30.0)
        session.execute("count")
        time.sleep(0.4)  # what was used before has been told
        store.down = True
        before = time.time()
        session.execute("count")
        time.sleep(0.6)
        store.down = False
        wait_until(lambda: (store.get("s") or session.info()).last_used >= before, "the store's learning of it", timeout=2.0)


def test_the_end_of_a_redis_server() -> None:
    """While it is gone calls of sessions say so and others go on; when it is back, empty, sessions are opened anew."""
    with redis() as server, snakepit.Pool(TOOLS, size=1, session_store=server.url) as pool:
        all_ready(pool)
        assert pool.execute("count", session_id="s")["count"] == 1
        server.kill()
        time.sleep(1.1)
        with pytest.raises(snakepit.SessionStoreError, match="Redis failed"):
            pool.execute("count", session_id="s", timeout=10)
        with pytest.raises(snakepit.SessionStoreError, match="Redis failed"):
            pool.session("t").open()
        assert pool.execute("count", timeout=5)["count"] == 1
        server.start()
        assert pool.execute("count", session_id="s", timeout=10)["count"] == 1
        assert pool.end_session("s") is True


def test_opening_counts_against_the_deadline() -> None:
    """The first call of a session ends in time although its store does not answer; when that does, the session is there."""
    store = ShakyStore(blocking=True)
    with snakepit.Pool(TOOLS, size=1, session_store=store) as pool:
        pool.execute("count")
        session = pool.session("s", ttl=77.0)
        store.hangs.clear()
        before = time.monotonic()
        with pytest.raises(snakepit.WorkerTimeout):
            session.execute("count", timeout=0.3)
        assert time.monotonic() - before < 1.5
        store.hangs.set()
        assert session.execute("count", timeout=5)["count"] == 1
        assert session.info().ttl == 77


def test_an_end_that_failed_can_be_tried_again(store: ShakyStore) -> None:
    """The handle has not ended it while the store says that it could not."""
    with snakepit.Pool(TOOLS, size=1, session_store=store) as pool:
        session = pool.session("s")
        session.execute("count")
        store.down = True
        with pytest.raises((ConnectionError, snakepit.SessionStoreError)):
            session.end()
        store.down = False
        session.end()
        assert pool.session_info("s") is None
        session.end()
