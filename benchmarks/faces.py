"""Contestants that several scenarios share: calls and chunks through our pools, and through bare grpc.aio; see `contest`."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import snakepit
from benchmarks import plain_grpc
from benchmarks.contest import Play, on_loop
from benchmarks.scenarios import TOOLS

_VALUE = {"a": 1, "b": "two", "c": [3.0, None]}
#: Ours is so much faster that a round of it would be too short with as few chunks as the baseline sends.
_TIMES_MORE = 10


@contextlib.contextmanager
def async_latency(**settings: Any) -> Iterator[Play]:
    """One call after the other: their median in milliseconds."""
    with on_loop(snakepit.AsyncPool(TOOLS, size=1, **settings)) as (runner, pool):
        yield lambda calls: runner.run(median_of(calls, lambda: pool.execute("echo", {"value": _VALUE})))


@contextlib.contextmanager
def sync_latency(**settings: Any) -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1, **settings) as pool:

        def call() -> float:
            began = time.perf_counter()
            pool.execute("echo", {"value": _VALUE})
            return time.perf_counter() - began

        yield lambda calls: statistics.median(call() for _ in range(calls)) * 1e3


@contextlib.contextmanager
def plain_latency() -> Iterator[Play]:
    with plain_grpc.plain_server() as address, on_loop(plain_grpc.PlainClient(address)) as (runner, client):
        yield lambda calls: runner.run(median_of(calls, lambda: client.echo({"value": _VALUE})))


@contextlib.contextmanager
def async_rate(**settings: Any) -> Iterator[Play]:
    """So many in flight over two workers: calls per second."""
    with on_loop(snakepit.AsyncPool(TOOLS, size=2, **settings)) as (runner, pool):
        yield lambda in_flight, calls: runner.run(rate_of(in_flight, calls, lambda: pool.execute("echo", {"value": _VALUE})))


@contextlib.contextmanager
def sync_chunks(**settings: Any) -> Iterator[Play]:
    """A stream of small dicts: chunks per second."""
    with snakepit.Pool(TOOLS, size=1, **settings) as pool:

        def play(count: int) -> float:
            count *= _TIMES_MORE
            began = time.perf_counter()
            seen = sum(1 for _ in pool.stream("count_up", {"count": count}))
            return _chunk_rate(count, seen, began)

        yield play


@contextlib.contextmanager
def plain_chunks() -> Iterator[Play]:
    with plain_grpc.plain_server() as address, on_loop(plain_grpc.PlainClient(address)) as (runner, client):

        async def read(count: int) -> float:
            began, seen = time.perf_counter(), 0
            async for _ in client.count_up(count):
                seen += 1
            return _chunk_rate(count, seen, began)

        yield lambda count: runner.run(read(count))


async def median_of(calls: int, call: Callable[[], Awaitable[Any]]) -> float:
    times = []
    for _ in range(calls):
        began = time.perf_counter()
        await call()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


async def rate_of(in_flight: int, calls: int, call: Callable[[], Awaitable[Any]]) -> float:
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            await call()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return calls / (time.perf_counter() - began)


def _chunk_rate(count: int, seen: int, began: float) -> float:
    rate = seen / (time.perf_counter() - began)
    if seen != count:
        raise RuntimeError(f"{seen} chunks came of {count}")
    return rate
