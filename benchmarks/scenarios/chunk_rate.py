"""Chunks per second of a generator of small dicts, beside server streaming with one gRPC message per chunk."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import snakepit
from benchmarks import plain_grpc
from benchmarks.contest import Contestant, Play, in_turn, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

#: Ours is so much faster that a round of it would be too short with as few chunks as the baseline sends.
_TIMES_MORE = 10


def run(plan: Plan) -> Iterator[Row]:
    with Contestant(sync_pool) as ours, Contestant(async_pool) as also_ours, Contestant(baseline) as theirs:
        sync, asynchronous, plain = in_turn(plan.rounds, ours, also_ours, theirs, args=(plan.size(30_000, 10_000),))
    bar = Bar(20, at_least=True, of_ratio=True)
    yield Row("Pool.stream", "chunks/s", sync, plain, bar)
    yield Row("AsyncPool.stream", "chunks/s", asynchronous, plain)


@contextlib.contextmanager
def sync_pool(**settings: Any) -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1, **settings) as pool:

        def play(count: int) -> float:
            count *= _TIMES_MORE
            began = time.perf_counter()
            seen = sum(1 for _ in pool.stream("count_up", {"count": count}))
            return _rate(count, seen, began)

        yield play


@contextlib.contextmanager
def async_pool() -> Iterator[Play]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=1)) as (runner, pool):

        async def read(count: int) -> float:
            began, seen = time.perf_counter(), 0
            async for _ in pool.stream("count_up", {"count": count}):
                seen += 1
            return _rate(count, seen, began)

        yield lambda count: runner.run(read(count * _TIMES_MORE))


@contextlib.contextmanager
def baseline() -> Iterator[Play]:
    with plain_grpc.plain_server() as address, on_loop(plain_grpc.PlainClient(address)) as (runner, client):

        async def read(count: int) -> float:
            began, seen = time.perf_counter(), 0
            async for _ in client.count_up(count):
                seen += 1
            return _rate(count, seen, began)

        yield lambda count: runner.run(read(count))


def _rate(count: int, seen: int, began: float) -> float:
    rate = seen / (time.perf_counter() - began)
    if seen != count:
        raise RuntimeError(f"{seen} chunks came of {count}")
    return rate
