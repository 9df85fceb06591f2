"""One small call at a time: `execute` of both pools, beside one grpc.aio unary RPC."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import snakepit
from benchmarks import plain_grpc
from benchmarks.contest import Contestant, Play, in_turn, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

_VALUE = {"a": 1, "b": "two", "c": [3.0, None]}


def run(plan: Plan) -> Iterator[Row]:
    """Many short blocks: what else the machine does changes within seconds."""
    rounds = plan.rounds * plan.size(3, 1)
    with Contestant(async_pool) as ours, Contestant(sync_pool) as also_ours, Contestant(baseline) as theirs:
        asynchronous, sync, plain = in_turn(rounds, ours, also_ours, theirs, args=(plan.size(500, 200),))
    yield Row("call p50, AsyncPool.execute", "ms", asynchronous, plain, Bar(1.0, of_ratio=True))
    yield Row("call p50, Pool.execute", "ms", sync, plain, Bar(1.3, of_ratio=True))


@contextlib.contextmanager
def async_pool(**settings: Any) -> Iterator[Play]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=1, **settings)) as (runner, pool):
        yield lambda calls: runner.run(median_of(calls, lambda: pool.execute("echo", {"value": _VALUE})))


@contextlib.contextmanager
def sync_pool(**settings: Any) -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1, **settings) as pool:

        def call() -> float:
            began = time.perf_counter()
            pool.execute("echo", {"value": _VALUE})
            return time.perf_counter() - began

        yield lambda calls: statistics.median(call() for _ in range(calls)) * 1e3


@contextlib.contextmanager
def baseline() -> Iterator[Play]:
    with plain_grpc.plain_server() as address, on_loop(plain_grpc.PlainClient(address)) as (runner, client):
        yield lambda calls: runner.run(median_of(calls, lambda: client.echo({"value": _VALUE})))


async def median_of(calls: int, call: Callable[[], Awaitable[Any]]) -> float:
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3
