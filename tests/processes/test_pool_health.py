"""What `health()` says of pools and workers, while the things it speaks of happen to them."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import time

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, all_ready, wait_until

pytestmark = pytest.mark.usefixtures("leaves_nothing")


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    """A folder for the tools."""
    return Marks(tmp_path)


def test_from_new_to_closed() -> None:
    """A look starts nothing; a pool that serves is ok, and so are its workers; a closed one says so."""
    pool = snakepit.Pool(TOOLS, size=2)
    assert (pool.health().status, pool.workers()) == ("degraded", ())
    assert "has not been started" in pool.health().reasons[0]
    with pool:
        all_ready(pool)
        health = wait_until(lambda: (now := pool.health()).ok and now, "an ok pool")
        assert (health.reasons, health.workers_ready, health.workers_wanted, health.queue_size) == ((), 2, 2, 10_000)
        assert [worker.id for worker in health.workers] == [handle.id for handle in pool.workers()]
        for handle in pool.workers():
            worker = handle.health()
            assert (worker.ok, worker.state, worker.running, worker.stuck) == (True, "ready", 0, False)
            assert worker.rss > 1024 * 1024
            assert worker.last_heard is not None
            assert worker.last_heard < 10
    assert (pool.health().status, pool.health().reasons) == ("failing", ("it has been closed",))


def test_the_async_face_is_the_same(marks: Marks) -> None:
    """The same look, not awaited; a call that runs is seen at its worker."""

    async def run() -> None:
        async with snakepit.AsyncPool(TOOLS, size=1) as pool:
            task = pool.submit("hold", {"folder": marks.text})
            await asyncio.to_thread(marks.wait, "started")
            health = pool.health()
            assert (health.status, health.running, health.workers[0].running) == ("ok", 1, 1)
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(run())


@pytest.mark.slow
def test_a_stopped_worker_is_stuck() -> None:
    """Missed heartbeats are told of the worker, and of its pool; once it answers again, both are ok."""
    with snakepit.Pool(TOOLS, size=1, heartbeat={"interval": 0.05, "timeout": 0.1, "dependent": False}) as pool:
        pid = pool.execute("pid")
        os.kill(pid, signal.SIGSTOP)
        health = wait_until(lambda: (now := pool.health()).status == "degraded" and now, "a degraded pool")
        (worker,) = health.workers
        assert worker.stuck
        assert worker.missed_beats >= 1
        assert health.reasons[0].startswith("worker-1: it has missed ")
        os.kill(pid, signal.SIGCONT)
        wait_until(lambda: pool.health().ok, "an ok pool")
        assert pool.workers()[0].health().missed_beats == 0


@pytest.mark.slow
def test_a_call_that_does_not_end_makes_its_worker_stuck(marks: Marks) -> None:
    """From the cancel to the kill behind it, the worker is stuck; the one that takes its place is not."""
    with snakepit.Pool(TOOLS, size=1, cancel_timeout=1.0) as pool:
        future = pool.submit("swallow", {"folder": marks.text})
        marks.wait("started")
        future.cancel()
        worker = wait_until(lambda: (now := pool.workers()[0].health()).stuck and now, "a stuck worker")
        assert worker.reasons == ("a cancelled call has not ended yet",)
        wait_until(lambda: pool.stats().killed == 1 and pool.health().ok, "another worker")


@pytest.mark.slow
def test_a_pool_whose_workers_cannot_start_any_more(tmp_path: pathlib.Path) -> None:
    """It fails from the moment its worker is gone, says why the next one did not start, and in the end that it has given up."""
    tools = tmp_path / "failing.py"
    tools.write_text("from snakepit_bridge import tool\n\n@tool\ndef one():\n    return 1\n")
    with snakepit.Pool(tools, size=1, max_restarts=1) as pool:
        tools.write_text("raise RuntimeError('the licence has ended')\n")
        os.kill(pool.workers()[0].pid or 0, signal.SIGKILL)
        wait_until(lambda: pool.health().status == "failing", "a failing pool")
        health = wait_until(lambda: (now := pool.health()).broken and now, "the end of it")
        assert "it has given up: " in health.reasons[0]
        assert "the licence has ended" in health.broken


def test_a_look_does_not_wait(marks: Marks) -> None:
    """While its only worker computes, a pool tells its health a hundred times within a second."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        future = pool.submit("hold", {"folder": marks.text, "kind": "busy loop"})
        marks.wait("started")
        began = time.monotonic()
        assert all(pool.health().running == 1 for _ in range(100))
        assert time.monotonic() - began < 1
        future.cancel()
