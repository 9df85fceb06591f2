"""Calls per second with 1, 16 and 64 of them in flight over two workers, beside unary RPCs to two servers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import snakepit
from benchmarks import plain_grpc
from benchmarks.contest import Contestant, Play, in_turn, on_loop
from benchmarks.report import Row
from benchmarks.scenarios import TOOLS, Plan

_VALUE = {"a": 1, "b": "two"}


def run(plan: Plan) -> Iterator[Row]:
    with Contestant(async_pool) as ours, Contestant(baseline) as theirs:
        for in_flight in (1, 16, 64):
            calls = plan.size(4_000, 800) // (4 if in_flight == 1 else 1)
            measured, plain = in_turn(plan.rounds, ours, theirs, args=(in_flight, calls))
            yield Row(f"AsyncPool.execute, {in_flight} in flight", "calls/s", measured, plain)


@contextlib.contextmanager
def async_pool(**settings: Any) -> Iterator[Play]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=2, **settings)) as (runner, pool):
        yield lambda in_flight, calls: runner.run(_rate(in_flight, calls, lambda: pool.execute("echo", {"value": _VALUE})))


@contextlib.contextmanager
def baseline() -> Iterator[Play]:
    with (
        plain_grpc.plain_server() as one,
        plain_grpc.plain_server() as other,
        on_loop(_Both(one, other)) as (runner, clients),
    ):
        turns = itertools.cycle(clients)
        yield lambda in_flight, calls: runner.run(_rate(in_flight, calls, lambda: next(turns).echo({"value": _VALUE})))


class _Both(contextlib.AsyncExitStack):
    def __init__(self, *addresses: str) -> None:
        super().__init__()
        self._addresses = addresses

    async def __aenter__(self) -> Any:
        return [await self.enter_async_context(plain_grpc.PlainClient(address)) for address in self._addresses]


async def _rate(in_flight: int, calls: int, call: Callable[[], Awaitable[Any]]) -> float:
    left = iter(range(calls))

    async def caller() -> None:
        for _ in left:
            await call()

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return calls / (time.perf_counter() - began)
