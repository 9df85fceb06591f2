"""Two hundred streams left midway, one after the other: what is there afterwards that was not there before?"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import snakepit
from benchmarks import observe
from benchmarks.contest import Contestant, Play, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

_READ = 50
#: Abandoned before the first look: pools make some things on first use and keep them.
_WARM_UP = 5


def run(plan: Plan) -> Iterator[Row]:
    streams = plan.size(200, 50)
    for factory, face in ((sync_pool, "Pool"), (async_pool, "AsyncPool")):
        with Contestant(factory) as contestant:
            contestant.play(_WARM_UP)
            grown = contestant.play(streams)
        leave = grown.pop("leave_ms")
        yield Row(f"{streams} {face} streams left: left behind", "things", [sum(grown.values())], bar=Bar(0), remark=_listed(grown))
        yield Row(f"{streams} {face} streams left: slot free after", "ms", leave)


@contextlib.contextmanager
def sync_pool() -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1) as pool:

        def leave_one() -> float:
            for chunk in pool.stream("endless"):
                if chunk["i"] == _READ:
                    break
            began = time.perf_counter()
            pool.execute("echo", {"value": {}})  # The only slot: it is served once the stream's is free again.
            return time.perf_counter() - began

        def play(streams: int) -> dict[str, Any]:
            before = _picture(pool)
            times = [leave_one() for _ in range(streams)]
            return {**_grown(before, _picture(pool)), "leave_ms": _thirds(times)}

        yield play


@contextlib.contextmanager
def async_pool() -> Iterator[Play]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=1)) as (runner, pool):

        async def leave_one() -> float:
            async for chunk in pool.stream("endless"):
                if chunk["i"] == _READ:
                    break
            began = time.perf_counter()
            await pool.execute("echo", {"value": {}})
            return time.perf_counter() - began

        async def play(streams: int) -> dict[str, Any]:
            before = _picture(pool)
            times = [await leave_one() for _ in range(streams)]
            return {**_grown(before, _picture(pool)), "leave_ms": _thirds(times)}

        yield lambda streams: runner.run(play(streams))


def _picture(pool: Any) -> dict[str, int]:
    stats, (worker,) = pool.stats(), pool.workers()
    host, below = observe.holdings(os.getpid()), observe.holdings(worker.info().pid)
    return {
        "calls waiting or running": stats.queued + stats.running,
        "workers not ready": stats.size - stats.workers_ready,
        "restarts": stats.restarts,
        **{f"host {name}": value for name, value in host._asdict().items()},
        "worker threads": below.threads,
        "worker descriptors": below.descriptors,
    }


def _grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {name: max(0, after[name] - before[name]) for name in before}


def _thirds(times: list[float]) -> list[float]:
    """The medians of three parts, in ms: it must not get slower from stream to stream."""
    part = len(times) // 3
    return [statistics.median(times[n * part : (n + 1) * part]) * 1e3 for n in range(3)]


def _listed(grown: dict[str, int]) -> str:
    return ", ".join(f"{name} +{value}" for name, value in grown.items())
