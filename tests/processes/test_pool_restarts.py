"""Workers that go: who replaces them, after how long, and when the pool says that it is broken."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import time
from typing import Any

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, all_ready, is_alive, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


def test_a_killed_worker_is_replaced() -> None:
    """After a crash the next call is served by a new worker with a new id and pid."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        (before,) = pool.workers()
        pid = before.info().pid
        with pytest.raises(snakepit.WorkerCrashed) as caught:
            pool.execute("die")
        assert (caught.value.details["pid"], caught.value.details["signal"]) == (pid, "SIGKILL")
        assert pool.execute("pid") != pid
        (after,) = pool.workers()
        assert (before.id, after.id) == ("worker-1", "worker-2")
        assert pool.stats().restarts == 1
        assert before.info().state == "dead"


def test_an_idle_worker_that_is_killed() -> None:
    """A worker that dies between calls is replaced without anybody's call failing."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        pid = pool.execute("pid")
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pool.stats().restarts == 1, "the restart")
        assert pool.execute("pid") != pid
        assert pool.stats().crashed == 0


def test_only_the_running_call_fails(marks: Marks) -> None:
    """One of two workers is killed: its call fails, the other's call and the queued one do not."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        all_ready(pool)
        one = pool.submit("until", {"folder": marks.text, "name": "go", "started": "one"})
        marks.wait("one")
        (victim,) = [handle for handle in pool.workers() if handle.info().running]
        other = pool.submit("until", {"folder": marks.text, "name": "go", "started": "other"})
        marks.wait("other")
        queued = pool.submit("add", {"a": 1})
        os.kill(victim.info().pid, signal.SIGKILL)
        error = one.exception(timeout=10)
        assert isinstance(error, snakepit.WorkerCrashed)
        assert error.details["worker_id"] == victim.id
        assert queued.result(timeout=10) == 2
        marks.say("go")
        assert other.result(timeout=10) == "go"
        stats = pool.stats()
        assert (stats.crashed, stats.succeeded) == (1, 2)


def test_a_call_that_brings_workers_down_again_and_again() -> None:
    """However many workers a call kills, the pool goes on: that is the call's doing."""
    with snakepit.Pool(TOOLS, size=1, max_restarts=1) as pool:
        for _ in range(4):
            with pytest.raises(snakepit.WorkerCrashed, match="exited with code 4(.|\n)*so long"):
                pool.execute("leave", {"code": 4, "words": "so long"})
        assert pool.execute("add", {"a": 1}) == 2
        assert pool.stats().restarts == 4


def test_a_pool_that_breaks(marks: Marks) -> None:
    """When workers keep failing to start the pool gives up, and every call says so, why, and shows the last lines of stderr."""
    settings = {"env": {"POOL_STARTS_FOLDER": marks.text}, "max_restarts": 2}
    with snakepit.Pool("pool_starts:OnlyOnce", size=1, **settings) as pool:
        running = pool.submit("die", timeout=None)
        waiting = pool.submit("pid", timeout=None)
        assert isinstance(running.exception(timeout=20), snakepit.WorkerCrashed)
        for error in (waiting.exception(timeout=20), _error_of(pool)):
            assert isinstance(error, snakepit.PoolBroken)
            assert "exited with code 7" in str(error)
            assert "there can be only one" in str(error)
        assert pool.stats().workers_ready == 0
        assert pool.stats().restarts == 1 + 2  # for the worker that died, and the two more that were allowed
        with pytest.raises(snakepit.PoolBroken):
            next(iter(pool.stream("pid")))


async def test_a_broken_pool_of_the_async_face(marks: Marks) -> None:
    """The same on the async face."""
    settings = {"env": {"POOL_STARTS_FOLDER": marks.text}, "max_restarts": 0}
    async with snakepit.AsyncPool("pool_starts:OnlyOnce", size=1, **settings) as pool:
        with pytest.raises(snakepit.WorkerCrashed):
            await pool.execute("die")
        with pytest.raises(snakepit.PoolBroken, match="there can be only one"):
            await asyncio.wait_for(pool.execute("pid"), 20)


def test_restarts_wait_longer_each_time(marks: Marks) -> None:
    """Between useless starts the pool waits 0.1 s, then 0.2 s, and so on: it does not spin."""
    settings = {"env": {"POOL_STARTS_FOLDER": marks.text}, "max_restarts": 3}
    with snakepit.Pool("pool_starts:OnlyOnce", size=1, **settings) as pool:
        began = time.monotonic()
        pool.submit("die").exception()
        assert isinstance(pool.submit("pid", timeout=None).exception(timeout=20), snakepit.PoolBroken)
        assert time.monotonic() - began > 0.1 + 0.2 + 0.4


def test_a_worker_that_serves_keeps_the_pool_alive(marks: Marks) -> None:
    """One slot that cannot be filled does not break a pool whose other worker serves."""
    settings = {"env": {"POOL_STARTS_FOLDER": marks.text}, "max_restarts": 0}
    with snakepit.Pool("pool_starts:OnlyOnce", size=2, **settings) as pool:
        wait_until(lambda: len(pool.workers()) == 1, "the end of the second worker")
        assert pool.execute("pid") == pool.workers()[0].info().pid


def _looping(marks: Marks, **settings: float) -> dict[str, Any]:
    return {"size": 2, "env": {"POOL_STARTS_FOLDER": marks.text}, **settings}


def test_a_slot_that_loops_is_quarantined(marks: Marks, caplog: pytest.LogCaptureFixture) -> None:
    """While another worker serves; `stats` and the log tell cause and mend. `end_quarantine` has it tried again at once."""
    with snakepit.Pool("pool_starts:UntilMended", **_looping(marks, max_restarts=1)) as pool:
        (place,) = wait_until(lambda: pool.stats().quarantined, "the quarantine")
        assert 50 < place.until - time.time() < 60
        assert (place.worker_id, pool.stats().restarts) == ("worker-3", 1)
        assert "exited with code 7" in place.cause
        assert "end_quarantine" in place.hint
        assert f"slot {place.slot} is quarantined for 60 s, while others serve" in caplog.text
        assert place.cause in caplog.text
        assert pool.execute("pid") == pool.workers()[0].pid
        marks.say("mended")
        assert pool.end_quarantine() == 1
        all_ready(pool)
        assert (pool.stats().quarantined, pool.end_quarantine()) == ((), 0)


def test_a_quarantine_ends_by_itself(marks: Marks) -> None:
    """Its slot gets a worker, without anybody's doing anything."""
    with snakepit.Pool("pool_starts:UntilMended", **_looping(marks, max_restarts=0, restart_window=0.5)) as pool:
        wait_until(lambda: pool.stats().quarantined, "the quarantine")
        marks.say("mended")
        all_ready(pool)


def test_a_quarantine_ends_when_nobody_serves(marks: Marks) -> None:
    """A pool that has lost its last worker leaves no slot alone."""
    with snakepit.Pool("pool_starts:UntilMended", **_looping(marks, max_restarts=0)) as pool:
        wait_until(lambda: pool.stats().quarantined, "the quarantine")
        marks.say("mended")
        with pytest.raises(snakepit.WorkerCrashed):
            pool.execute("die")
        all_ready(pool)


def test_a_call_that_brings_workers_down_quarantines_nothing() -> None:
    """That is the call's doing, whoever else serves."""
    with snakepit.Pool(TOOLS, size=2, max_restarts=0) as pool:
        all_ready(pool)
        for _ in range(6):
            with pytest.raises(snakepit.WorkerCrashed):
                pool.execute("die")
            assert pool.stats().quarantined == ()


async def test_quarantine_on_the_async_face(marks: Marks) -> None:
    """The same on the async face, and a pool that is closed meanwhile does not wait for it."""
    async with snakepit.AsyncPool("pool_starts:UntilMended", **_looping(marks, max_restarts=0)) as pool:
        await asyncio.to_thread(wait_until, lambda: pool.stats().quarantined, "the quarantine")
        before = pool.stats().restarts  # 1 where the first useless start came before a worker served
        assert await pool.end_quarantine() == 1
        await asyncio.to_thread(wait_until, lambda: pool.stats().restarts == before + 1 and pool.stats().quarantined, "the next one")
        began = time.monotonic()
    assert time.monotonic() - began < 3


def test_a_tool_that_swallows_everything(marks: Marks) -> None:
    """A tool that takes no notice is killed with its worker after `cancel_timeout`; the next call is served by another."""
    with snakepit.Pool(TOOLS, size=1, cancel_timeout=0.5) as pool:
        pid = pool.execute("pid")
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("swallow", {"folder": marks.text}, timeout=0.5)
        assert is_alive(pid)
        assert pool.execute("pid", timeout=20) != pid
        assert "swallowed" in marks.said
        assert not is_alive(pid)
        stats = pool.stats()
        assert (stats.killed, stats.timed_out, stats.crashed) == (1, 1, 0)


def test_a_worker_that_is_ended_by_sigterm(marks: Marks) -> None:
    """SIGTERM from outside ends a worker; the call that ran gets an error that names the signal."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        held = pool.submit("until", {"folder": marks.text, "name": "go"})
        marks.wait("started")
        os.kill(pool.workers()[0].info().pid, signal.SIGTERM)
        error = held.exception(timeout=10)
        assert isinstance(error, snakepit.WorkerCrashed)
        assert error.details["signal"] == "SIGTERM"
        assert pool.execute("add", {"a": 1}) == 2


def _error_of(pool: snakepit.Pool) -> BaseException:
    with pytest.raises(snakepit.SnakepitError) as caught:
        pool.execute("pid")
    return caught.value
