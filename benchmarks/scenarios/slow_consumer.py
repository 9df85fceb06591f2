"""A long stream and a consumer that sleeps 1 ms every 1,000 chunks and once long: does memory stay where it was?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from typing import Any

import snakepit
from benchmarks import observe
from benchmarks.contest import Contestant, Play, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

_MIB = 1024 * 1024
_LIMIT_MIB = 32
_NAP = 0.001
#: One look at both processes takes about as long as a few thousand chunks.
_LOOK_EVERY = 25_000


def run(plan: Plan) -> Iterator[Row]:
    chunks, long_sleep = plan.size(5_000_000, 500_000), plan.size(5, 1)
    for factory, face in ((sync_pool, "Pool"), (async_pool, "AsyncPool")):
        with Contestant(factory) as contestant:
            grown = contestant.play(chunks, long_sleep)
        for process in ("host", "worker"):
            rss, pss = grown[process]
            remark = f"PSS {pss:+.1f} MiB; {chunks:,} chunks in {grown['seconds']:.0f} s, of which {long_sleep} s asleep in one go"
            yield Row(f"slow consumer, {face}: {process} grew by", "MiB", [max(rss, pss)], bar=Bar(_LIMIT_MIB), remark=remark)


@contextlib.contextmanager
def sync_pool() -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1) as pool:

        def play(chunks: int, long_sleep: float) -> dict[str, Any]:
            watch = _Watch(pool, chunks)
            for seen, _ in enumerate(pool.stream("count_up", {"count": chunks}), 1):
                if seen % 1000 == 0:
                    time.sleep(long_sleep if seen == watch.middle else _NAP)
                    watch.look_at(seen)
            return watch.grown()

        yield play


@contextlib.contextmanager
def async_pool() -> Iterator[Play]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=1)) as (runner, pool):

        async def play(chunks: int, long_sleep: float) -> dict[str, Any]:
            watch, seen = _Watch(pool, chunks), 0
            async for _ in pool.stream("count_up", {"count": chunks}):
                seen += 1
                if seen % 1000 == 0:
                    await asyncio.sleep(long_sleep if seen == watch.middle else _NAP)
                    watch.look_at(seen)
            return watch.grown()

        yield lambda chunks, long_sleep: runner.run(play(chunks, long_sleep))


class _Watch:
    """The most that host and worker ever had, above what they had before the stream."""

    def __init__(self, pool: Any, chunks: int) -> None:
        self.middle = chunks // 2000 * 1000
        self._pids = {"host": os.getpid(), "worker": pool.workers()[0].info().pid}
        self._before = self._now()
        self._most = dict(self._before)
        self._began = time.perf_counter()

    def look_at(self, seen: int) -> None:
        if seen % _LOOK_EVERY == 0 or seen == self.middle:
            for process, now in self._now().items():
                most = self._most[process]
                self._most[process] = observe.Memory(max(most.rss, now.rss), max(most.pss, now.pss))

    def grown(self) -> dict[str, Any]:
        """MiB by process: (RSS, PSS)."""
        grown: dict[str, Any] = {"seconds": time.perf_counter() - self._began}
        for process, most in self._most.items():
            before = self._before[process]
            grown[process] = (most.rss - before.rss) / _MIB, (most.pss - before.pss) / _MIB
        return grown

    def _now(self) -> dict[str, observe.Memory]:
        return {name: observe.memory(pid) for name, pid in self._pids.items()}
