"""A worker's death costs the calls that ran there, which are told at once and once."""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import random
import signal
import threading
import time
from typing import Any

import pytest

import snakepit
from promise_figures import often

pytestmark = pytest.mark.slow


def test_the_caller_learns_of_a_crash(tools: str, figures: Any, tmp_path: pathlib.Path) -> None:
    """At once; and the next call is served as soon as another worker has started."""
    told, served = [], []
    with snakepit.Pool(f"{tools}:Counting", size=1, max_restarts=10_000) as pool:
        for number in range(often(100, 12)):
            assert pool.execute("square", {"number": number}) == number**2
            future = pool.submit("wait", {"folder": str(tmp_path)})
            while not (tmp_path / "started").exists():
                time.sleep(0.0005)
            (tmp_path / "started").unlink()
            pid = pool.workers()[0].pid
            assert pid is not None
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(snakepit.WorkerCrashed):
                future.result(10)
            told.append(time.perf_counter() - began)
            assert pool.execute("square", {"number": 3}) == 9
            served.append(time.perf_counter() - began)
    figures("the caller learns of a crash").hold(told, p50=0.010, p99=0.100)
    figures("the next call after a crash is served").hold(served, p50=0.600)


def test_calls_under_kills_end_exactly_once(tools: str) -> None:
    """Under load, workers are killed at random: only calls that run there fail, results are right, streams have no gap, and the pool is whole.

    There are twice as many callers as workers, so that calls wait all the time; a worker runs one at a time.
    """
    kills, struck, seed = often(1000, 25), 0, random.randrange(2**32)
    dice, ends, wrong = random.Random(seed), collections.Counter[str](), []
    stop = threading.Event()
    with snakepit.Pool(f"{tools}:Counting", size=4, max_restarts=1_000_000) as pool:

        def calls(number: int) -> None:
            while not stop.is_set():
                number += 8
                try:
                    if number % 3:
                        found: Any = pool.execute("square", {"number": number}, timeout=30)
                        right = found == number**2
                    else:
                        found = []
                        for chunk in pool.stream("count", {"n": 50}, timeout=30).values():
                            found.append(chunk["n"])
                        right = found == list(range(50))
                    ends["ended"] += 1
                except snakepit.WorkerCrashed:
                    ends["crashed"] += 1
                    right = number % 3 > 0 or found == list(range(len(found)))
                if not right:
                    wrong.append((number, found))

        threads = [threading.Thread(target=calls, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            time.sleep(dice.uniform(0.0, 0.05))
            ready = [handle.pid for handle in pool.workers() if handle.info().state == "ready" and handle.pid]
            with contextlib.suppress(ProcessLookupError, IndexError):  # it has just ended, or none is ready
                os.kill(dice.choice(ready), signal.SIGKILL)
                struck += 1
        stop.set()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "a call has not ended"
        deadline = time.monotonic() + 20
        while pool.stats().workers_ready < 4:
            assert time.monotonic() < deadline, "the pool is not whole again"
            time.sleep(0.01)
        stats = pool.stats()
    assert wrong == [], f"seed {seed}"
    assert 0 < ends["crashed"] <= struck <= kills, f"seed {seed}"
    assert stats.submitted == stats.succeeded + stats.crashed == ends["ended"] + ends["crashed"], f"seed {seed}"


def test_closing_is_bounded(tools: str, figures: Any, tmp_path: pathlib.Path) -> None:
    """Also while tools run that do not let themselves be interrupted."""
    times = []
    for _ in range(often(20, 3)):
        pool = snakepit.Pool(f"{tools}:Stubborn", size=2, close_timeout=0.5, cancel_timeout=0.3, worker_output="discard")
        pool.start()
        for tool in ("hold", "swallow"):
            pool.submit(tool, {"folder": str(tmp_path)})
        while pool.stats().running < 2:
            time.sleep(0.001)
        began = time.perf_counter()
        pool.close()
        times.append(time.perf_counter() - began)
    figures("a pool closes").hold(times, max=0.5 + 2.0)
