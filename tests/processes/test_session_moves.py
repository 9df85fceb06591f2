"""Sessions on the move: what calls tell when they overtake or are cancelled, mixed affinities, losses, snapshots of `hint` sessions."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pathlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

import snakepit
from pool_helpers import Marks, all_ready, idle, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

#: Arguments that leave in many pieces, so that small calls overtake them.
LARGE = {"blob": "x" * 3_000_000}


async def _replaced(pool: snakepit.AsyncPool, pid: int) -> None:
    """Kill a worker and wait for another."""
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while not pool.stats().workers_ready or pid in {handle.pid for handle in pool.workers()}:  # noqa: ASYNC110 - processes
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def _lost_after(calls: int, adapter: str, **options: Any) -> AsyncIterator[Any]:
    """A session whose worker died after so many calls."""
    async with snakepit.AsyncPool(f"session_moving_tools:{adapter}", size=1, max_restarts=100, **options) as pool:
        session = await pool.session("s").open()
        for _ in range(calls):
            found = await session.execute("count")
        await _replaced(pool, found["pid"])
        yield session


# calls that overtake, or never leave -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancelled", [False, True])
async def test_metadata_reaches_a_call_that_overtakes_the_first_one(cancelled: bool) -> None:
    """Also when that is cancelled before it has left, and takes along what it was to tell."""
    async with snakepit.AsyncPool("session_moving_tools:Crowded", size=1) as pool:
        session = await pool.session(metadata={"user": "ann"}).open()
        large, small = session.submit("count", LARGE), session.submit("count")
        await asyncio.sleep(0)
        if cancelled:
            large.cancel()
        assert (await small)["metadata"] == {"user": "ann"}
        if not cancelled:
            assert (await large)["metadata"] == {"user": "ann"}


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_snapshot_reaches_a_call_that_overtakes_the_first_one(cancelled: bool) -> None:
    """The state is restored before whichever call comes first, and once."""
    async with _lost_after(5, "CrowdedSnapshots") as session:
        large, small = session.submit("count", LARGE), session.submit("count")
        await asyncio.sleep(0)
        if cancelled:
            large.cancel()
        assert (await small)["count"] == 6
        if not cancelled:
            assert (await large)["count"] == 7
        assert (await session.execute("count"))["count"] == (7 if cancelled else 8)


async def test_a_call_that_never_left_does_not_end_a_loss() -> None:
    """A `hint` call is cancelled unsent: the next strict call still says that the session is lost."""
    async with _lost_after(3, "Crowded", affinity="strict_queue") as session:
        large = session.submit("count", LARGE, affinity="hint")
        await asyncio.sleep(0)
        large.cancel()
        with pytest.raises(snakepit.SessionLost):
            await session.execute("count")
        facts: list[dict[str, Any]] = []
        assert (await session.execute("count", affinity="hint", on_metadata=facts.append))["count"] == 1
        assert facts[0]["session_moved"]["reason"].startswith("lost")
        assert (await session.execute("count"))["count"] == 2


# what is told of moves -------------------------------------------------------------------------------------------------------


def test_a_call_that_fails_after_a_move_says_so_too() -> None:
    """In the error's details, whether the tool raised or its time was up; the next call tells it no more."""
    with snakepit.Pool("session_moving_tools:Restoring", size=1, max_restarts=100) as pool:
        session = pool.session()
        for fails in (lambda: session.execute("fail"), lambda: session.execute("sleep", {"seconds": 20}, timeout=0.5)):
            session.execute("count")
            worker = session.info().worker_id
            with pytest.raises(snakepit.WorkerCrashed):
                session.execute("die")
            all_ready(pool)
            with pytest.raises((snakepit.ToolError, snakepit.WorkerTimeout)) as caught:
                fails()
            details = caught.value.details
            assert details["session_moved"] == {"from": worker, "reason": "lost: killed by SIGKILL", "restored": True}
            assert details["session_id"] == session.id
            idle(pool)
            facts: list[dict[str, Any]] = []
            session.execute("count", on_metadata=facts.append)
            assert "session_moved" not in facts[0]


# mixed affinities ------------------------------------------------------------------------------------------------------------


def test_a_hint_call_waits_with_the_strict_calls_of_its_session() -> None:
    """It does not move the session from under a strict call that waits for its state; when none is left, it may again."""
    with snakepit.Pool("session_tools:SessionTools", size=2, affinity="strict_queue") as pool:
        all_ready(pool)
        session = pool.session()
        for _ in range(3):
            session.execute("count")
        busy = session.submit("sleep", {"seconds": 0.5})
        wait_until(busy.running, "a busy worker")
        strict, hint = session.submit("count"), session.submit("count", affinity="hint")
        assert (strict.result()["count"], hint.result()["count"]) == (4, 5)
        assert "session_moved" not in hint.metadata
        busy = session.submit("sleep", {"seconds": 20.0}, affinity="hint")
        wait_until(busy.running, "a busy worker")
        alone = session.submit("count", affinity="hint")
        assert alone.result()["count"] == 1
        assert alone.metadata["session_moved"]["reason"] == "busy"
        busy.cancel()
        idle(pool)


def test_a_hint_call_that_waited_with_strict_ones_goes_on_without_them() -> None:
    """Their worker dies: they are told that the session is lost, it runs elsewhere and says that the session has moved."""
    with snakepit.Pool("session_tools:SessionTools", size=2, affinity="strict_queue") as pool:
        all_ready(pool)
        session = pool.session()
        pid = session.execute("count")["pid"]
        busy = session.submit("sleep", {"seconds": 20.0})
        wait_until(busy.running, "a busy worker")
        strict, hint = session.submit("count"), session.submit("count", affinity="hint")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(snakepit.SessionLost):
            strict.result(timeout=5)
        assert hint.result(timeout=5)["count"] == 1
        assert hint.metadata["session_moved"]["reason"] == "lost: killed by SIGKILL"
        with pytest.raises(snakepit.WorkerCrashed):
            busy.result()


# snapshots of hint sessions ----------------------------------------------------------------------------------------------------


def test_a_hint_session_takes_its_snapshot_along(tmp_path: pathlib.Path) -> None:
    """Whenever it moves, also back; what a call did on a worker that the session has left is not in it."""
    marks = Marks(tmp_path)
    with snakepit.Pool("session_moving_tools:Restoring", size=2, max_restarts=100) as pool:
        all_ready(pool)
        session = pool.session()
        for _ in range(3):
            session.execute("count")
        workers = []
        for expected in (4, 5, 6):  # to the other worker, and back, and there again
            busy = session.submit("mark", {"folder": marks.text, "name": str(expected), "seconds": 0.3})
            marks.wait(str(expected))
            counted = session.submit("count")
            assert counted.result()["count"] == expected
            assert counted.metadata["session_moved"]["restored"] is True
            workers.append(counted.metadata["worker_id"])
            busy.result()
        assert workers[0] != workers[1]
        assert workers[0] == workers[2]
        with pytest.raises(snakepit.WorkerCrashed):
            session.execute("die")
        assert session.execute("count")["count"] == 7
