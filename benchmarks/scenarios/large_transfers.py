"""What is large where there is no shared memory, beside raw grpc.aio; and what becomes of small calls and cancels meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import numpy

import snakepit
from benchmarks.contest import Contestant, Play, in_turn, on_loop
from benchmarks.plain_grpc import plain_server, serve
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan
from benchmarks.scenarios.arrays import pool, thorough

_BYTES = 100_000_000
_MESSAGE = 1024 * 1024
_OPTIONS = (("grpc.max_receive_message_length", -1),)
_UP, _DOWN = "/plain/up", "/plain/down"


def run(plan: Plan) -> Iterator[Row]:
    bar = Bar(0.7, at_least=True, of_ratio=True)
    with Contestant(pool, protocol="grpc", shared_memory_limit=0) as ours, Contestant(raw) as theirs:
        for direction in ("up", "down"):
            figures = in_turn(thorough(plan), ours, theirs, args=(direction, _BYTES // 8))
            our, their = ([_BYTES / seconds / 1e9 for seconds in column] for column in figures)
            yield Row(f"100 MB {direction} over gRPC alone", "GB/s", our, their, bar, "baseline: grpc.aio, messages of 1 MiB")
    size = plan.size(1024, 256) * 1024 * 1024
    for limit, name in ((2 * 1024**3, "shared memory"), (0, "channel")):
        with Contestant(busy_pool, shared_memory_limit=limit) as contestant:
            idle, busy, cancel_idle, cancel_busy = zip(*(contestant.play(size) for _ in range(thorough(plan))), strict=True)
        most = Bar(10, of_ratio=True)
        yield Row(f"call p50 beside {size >> 20} MiB, {name}", "ms", busy, idle, most, "baseline: the same when idle")
        yield Row(f"cancel p50 beside {size >> 20} MiB, {name}", "ms", cancel_busy, cancel_idle, most, "baseline: the same when idle")


@contextlib.contextmanager
def busy_pool(**settings: Any) -> Iterator[Play]:
    """Plays: milliseconds of a small call and of a cancel (p50), idle and beside large arguments."""
    with on_loop(snakepit.AsyncPool(TOOLS, size=3, **settings)) as (runner, opened):

        async def measured(size: int) -> list[float]:
            value = numpy.ones(size // 8)
            await opened.execute("echo", {"value": {}})
            idle, cancel_idle = await _times(opened, 100)
            large = asyncio.create_task(opened.execute("array_sum", {"value": value}))
            busy: list[float] = []
            cancel_busy: list[float] = []
            while not large.done():
                calls, cancels = await _times(opened, 1)
                busy += calls
                cancel_busy += cancels
            await large
            return [statistics.median(times) for times in (idle, busy, cancel_idle, cancel_busy)]

        yield lambda size: runner.run(measured(size))


async def _times(opened: Any, count: int) -> tuple[list[float], list[float]]:
    calls, cancels = [], []
    for _ in range(count):
        began = time.perf_counter()
        await opened.execute("echo", {"value": {}})
        calls.append((time.perf_counter() - began) * 1e3)
        stream = opened.stream("endless")
        await anext(stream)
        began = time.perf_counter()
        await stream.aclose()
        await opened.execute("echo", {"value": {}})
        cancels.append((time.perf_counter() - began) * 1e3)
    return calls, cancels


@contextlib.contextmanager
def raw() -> Iterator[Play]:
    """Plays a direction: seconds for 100 MB in messages of 1 MiB, one stream, joined and summed as an array at the other end."""
    with plain_server("benchmarks.scenarios.large_transfers") as address, asyncio.Runner() as runner:
        channel = runner.run(_channel(address))
        try:
            yield lambda direction, count: runner.run(_raw(channel, direction, count))
        finally:
            runner.run(channel.close())


async def _channel(address: str) -> Any:
    return grpc.aio.insecure_channel(address, options=_OPTIONS)


async def _raw(channel: Any, direction: str, count: int) -> float:
    value = numpy.random.default_rng(1).random(count)
    began = time.perf_counter()
    if direction == "up":
        call = channel.stream_unary(_UP)(_messages(value))
        await call
    else:
        parts = [part async for part in channel.unary_stream(_DOWN)(str(count).encode())]
        numpy.frombuffer(b"".join(parts)).sum()
    return time.perf_counter() - began


async def _messages(value: Any) -> Any:
    view = memoryview(value).cast("B")
    for at in range(0, len(view), _MESSAGE):
        yield bytes(view[at : at + _MESSAGE])


class _Service(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self._values: dict[bytes, Any] = {}

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if handler_call_details.method == _UP:
            return grpc.stream_unary_rpc_method_handler(self._up)
        return grpc.unary_stream_rpc_method_handler(self._down)

    async def _up(self, requests: Any, _context: Any) -> bytes:
        parts = [part async for part in requests]
        return str(numpy.frombuffer(b"".join(parts)).sum()).encode()

    async def _down(self, request: bytes, _context: Any) -> Any:
        value = self._values.setdefault(request, numpy.random.default_rng(1).random(int(request)))
        async for part in _messages(value):
            yield part


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], _Service(), _OPTIONS))
