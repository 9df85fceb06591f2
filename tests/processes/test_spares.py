"""Spares: ready workers that wait to take the place of one that is lost. And pools of many workers, which start in batches."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import threading
import time

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit import WorkerInfo
from snakepit._workers import starts
from snakepit._workers.starts import Starts

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = str(pathlib.Path(__file__).with_name("recycled_tools.py"))


def infos(pool: snakepit.Pool) -> dict[int | None, WorkerInfo]:
    return {handle.pid: handle.info() for handle in pool.workers()}


def whole(pool: snakepit.Pool, size: int, spares: int) -> None:
    wait_until(lambda: (pool.stats().workers_ready, pool.stats().spares) == (size, spares), "the workers and their spares")


def test_a_spare_serves_nothing_until_a_worker_is_lost() -> None:
    """Then it takes its place at once, and another spare is started."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=1, spares=1) as pool:
        whole(pool, 1, 1)
        pids = {future.result(10) for future in [pool.submit("work", {"seconds": 0.01}) for _ in range(20)]}
        assert len(pids) == 1
        (spare,) = [pid for pid, info in infos(pool).items() if info.spare]
        assert spare not in pids
        assert spare is not None
        os.kill(pids.pop(), signal.SIGKILL)
        began = time.monotonic()
        while pool.stats().crashed == 0 and pool.stats().restarts == 0 and time.monotonic() < began + 10:
            time.sleep(0.001)
        assert pool.execute("pid") == spare
        whole(pool, 1, 1)
        assert not infos(pool)[spare].spare


def test_a_spare_that_is_lost_costs_nobody_anything() -> None:
    """Another one is started."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=1, spares=2) as pool:
        whole(pool, 1, 2)
        served = pool.execute("pid")
        spare = next(pid for pid, info in infos(pool).items() if info.spare)
        assert spare is not None
        os.kill(spare, signal.SIGKILL)
        wait_until(lambda: spare not in infos(pool), "its end")
        whole(pool, 1, 2)
        assert pool.execute("pid") == served


def test_a_killed_worker_is_followed_by_a_spare() -> None:
    """A tool that does not end costs its worker; the calls that waited run on the spare, long before another could have started."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=1, spares=1, cancel_timeout=0.05) as pool:
        whole(pool, 1, 1)
        (spare,) = [pid for pid, info in infos(pool).items() if info.spare]
        crashing = pool.submit("end", {"code": 3})
        waiting = pool.submit("pid")
        with pytest.raises(snakepit.WorkerCrashed, match="exited with code 3"):
            crashing.result(10)
        assert waiting.result(10) == spare


def test_spares_do_not_age() -> None:
    """A worker's time counts from when it serves; who is replaced leaves when as many serve as before."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=1, spares=1, max_age=0.6) as pool:
        whole(pool, 1, 1)
        first = pool.execute("pid")
        (spare,) = [pid for pid, info in infos(pool).items() if info.spare]
        wait_until(lambda: pool.execute("pid") != first, "the first one's end")
        assert pool.execute("pid") == spare
        assert pool.stats().recycled == 1
        whole(pool, 1, 1)


def test_by_calls_too() -> None:
    """Workers that have served enough are replaced without a gap."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=2, spares=1, max_calls=5) as pool:
        whole(pool, 2, 1)
        pids = [future.result(20) for future in [pool.submit("work", {"seconds": 0.005}) for _ in range(100)]]
        assert len(set(pids)) >= 3, "the spare has not taken a place"
        stats = pool.stats()
        assert (stats.crashed, stats.failed, stats.restarts) == (0, 0, 0)
        whole(pool, 2, 1)


def test_closing_ends_them() -> None:
    """While they start, too."""
    for pause in (0.0, 0.1, 0.5):
        with snakepit.Pool(f"{TOOLS}:Recycled", size=1, spares=3) as pool:
            time.sleep(pause)
        assert pool.stats().spares == 0


def test_many_workers_start_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more at once than the CPUs have to do; the first serves while others wait for their turn."""
    monkeypatch.setattr(starts, "_TURN_SECONDS", 60.0)  # however busy this machine is
    size = 24
    pool = snakepit.Pool(f"{TOOLS}:Recycled", size=size)

    async def turns() -> int:
        gate = Starts()
        taken = list(iter(gate.take, None))
        for turn in taken:
            turn.over()
        return len(taken)

    limit = asyncio.run(turns())
    done = threading.Event()
    seen: list[int] = []

    def look() -> None:
        while not done.wait(0.002):
            seen.append(sum(handle.info().state == "starting" for handle in pool.workers()))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        with pool:
            assert pool.stats().workers_ready < size
            assert any(handle.info().state == "new" for handle in pool.workers())
            pool.execute("pid")
            wait_until(lambda: pool.stats().workers_ready == size, "all of them", 50)
    finally:
        done.set()
        looking.join()
    assert 1 < max(seen) <= limit < size
