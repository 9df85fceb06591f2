"""Age of a chunk when its consumer gets it, from a generator that computes 2 ms of plain Python for each."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator

import snakepit
from benchmarks.contest import Contestant, Play, in_turn, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

_MILLISECONDS = 2.0


def run(plan: Plan) -> Iterator[Row]:
    """Many short rounds: other processes that want the same CPU hold a chunk up for tens of milliseconds."""
    rounds = plan.rounds * plan.size(3, 1)
    with Contestant(sync_pool) as ours, Contestant(async_pool) as also_ours:
        sync, asynchronous = in_turn(rounds, ours, also_ours, args=(150,))
    yield Row("age of a chunk p50, Pool.stream", "ms", sync, bar=Bar(1.5))
    yield Row("age of a chunk p50, AsyncPool.stream", "ms", asynchronous, bar=Bar(1.5))


@contextlib.contextmanager
def sync_pool() -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1) as pool:

        def play(count: int) -> float:
            stream = pool.stream("compute_and_stamp", {"count": count, "milliseconds": _MILLISECONDS})
            return statistics.median(_age(value) for value in stream.values())

        yield play


@contextlib.contextmanager
def async_pool() -> Iterator[Play]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=1)) as (runner, pool):

        async def play(count: int) -> float:
            stream = pool.stream("compute_and_stamp", {"count": count, "milliseconds": _MILLISECONDS})
            return statistics.median([_age(value) async for value in stream.values()])

        yield lambda count: runner.run(play(count))


def _age(value: dict[str, int]) -> float:
    return (time.monotonic_ns() - value["yielded_ns"]) / 1e6
