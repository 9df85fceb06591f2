"""Short calls that are sent ahead, while workers die and callers leave: each runs once at most, and only what ran is lost."""

from __future__ import annotations

import collections
import concurrent.futures
import os
import pathlib
import random
import signal
import sys
import time

import pytest

import snakepit
from promise_figures import often
from snakepit.errors import WorkerCrashed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.skipif(sys.platform != "linux", reason="calls are sent ahead on Linux alone"),
]

#: A call is sent so often beyond those that are wanted, on average: it ends its process.
_DEADLY = 1 / 300


@pytest.mark.parametrize("protocol", ["msgpack", "json", "grpc"])
def test_each_runs_once_and_only_what_ran_is_lost(protocol: str, tmp_path: pathlib.Path) -> None:
    """Calls that end their process, kills from outside, callers that leave, and calls that take long, in any order."""
    count, seed = often(50_000, 2_500), random.randrange(2**32)
    dice, path, kills, deadly = random.Random(seed), str(tmp_path / "runs"), 0, []
    futures: list[concurrent.futures.Future[int]] = []
    with snakepit.Pool("chaos_tools", size=2, protocol=protocol, queue_size=count * 2, launcher="template", max_restarts=10**6) as pool:
        for number in range(count):
            futures.append(pool.submit("note", {"path": path, "number": number, "seconds": 0.02 if dice.random() < 0.002 else 0.0}))
            if dice.random() < _DEADLY:
                deadly.append(pool.submit("note", {"path": path, "number": -1, "die": True}))
            if dice.random() < 0.05:
                dice.choice(futures[-60:]).cancel()
            if dice.random() < 0.02:
                time.sleep(dice.random() * 0.01)
            if dice.random() < 1 / 800:
                kills += _struck(pool, dice)
        ends = collections.Counter(map(_end, futures))
        assert set(map(_end, deadly)) <= {"WorkerCrashed"}, f"seed {seed}"
        assert (pool.stats().queued, pool.stats().running) == (0, 0)
    runs = collections.Counter(map(int, pathlib.Path(path).read_text().split()))
    del runs[-1]
    told = f"seed {seed}: {dict(ends)}, {kills} kills, {len(deadly)} deadly calls"
    assert max(runs.values()) == 1, told
    assert ends["WorkerCrashed"] <= kills, told
    assert set(ends) <= {"ended", "CancelledError", "WorkerCrashed"}, told
    assert {number for number, future in enumerate(futures) if _end(future) == "ended"} <= runs.keys(), told


def _struck(pool: snakepit.Pool, dice: random.Random) -> int:
    """Kill a worker from outside: how many died of it."""
    pids = [handle.pid for handle in pool.workers() if handle.info().state == "ready" and handle.pid is not None]
    if not pids:
        return 0
    try:
        os.kill(dice.choice(pids), signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def _end(future: concurrent.futures.Future[int]) -> str:
    try:
        future.result(60)
    except WorkerCrashed:
        return "WorkerCrashed"
    except (concurrent.futures.CancelledError, snakepit.SnakepitError) as error:
        return type(error).__name__
    return "ended"
