"""Time to the first chunk from a warm pool, of a generator that goes on as fast as it can."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator

import snakepit
from benchmarks import plain_grpc
from benchmarks.contest import Contestant, Play, in_turn, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

#: More than fits a stream's window. The baseline has to get them over one by one and gets fewer.
_LENGTH, _BASELINE_LENGTH = 2_000, 200


def run(plan: Plan) -> Iterator[Row]:
    with Contestant(sync_pool) as ours, Contestant(async_pool) as also_ours, Contestant(baseline) as theirs:
        sync, asynchronous, plain = in_turn(plan.rounds, ours, also_ours, theirs, args=(plan.size(100, 30),))
    yield Row("first chunk p50, Pool.stream", "ms", sync, plain, Bar(3))
    yield Row("first chunk p50, AsyncPool.stream", "ms", asynchronous, plain, Bar(3))


@contextlib.contextmanager
def sync_pool() -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1) as pool:

        def first() -> float:
            began = time.perf_counter()
            chunks = iter(pool.stream("count_up", {"count": _LENGTH}))
            next(chunks)
            waited = time.perf_counter() - began
            for _ in chunks:
                pass
            return waited * 1e3

        yield lambda streams: statistics.median(first() for _ in range(streams))


@contextlib.contextmanager
def async_pool() -> Iterator[Play]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=1)) as (runner, pool):

        async def play(streams: int) -> float:
            return statistics.median([await _first(lambda: pool.stream("count_up", {"count": _LENGTH})) for _ in range(streams)])

        yield lambda streams: runner.run(play(streams))


@contextlib.contextmanager
def baseline() -> Iterator[Play]:
    with plain_grpc.plain_server() as address, on_loop(plain_grpc.PlainClient(address)) as (runner, client):

        async def play(streams: int) -> float:
            return statistics.median([await _first(lambda: client.count_up(_BASELINE_LENGTH)) for _ in range(streams)])

        yield lambda streams: runner.run(play(streams))


async def _first(begin: Play) -> float:
    began = time.perf_counter()
    chunks = aiter(begin())
    await anext(chunks)
    waited = time.perf_counter() - began
    async for _ in chunks:
        pass
    return waited * 1e3
