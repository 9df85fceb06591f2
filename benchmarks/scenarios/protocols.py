"""The same pool on each of its protocols, beside `concurrent.futures.ProcessPoolExecutor`: calls, streams, bytes both ways.

The executor starts its processes with the context `spawn`: like our workers they share nothing with the program that calls.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import snakepit
from benchmarks import faces, tools
from benchmarks.contest import Contestant, Play, in_turn
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

_PROTOCOLS = ("msgpack", "grpc", "json")
_EXECUTOR = "ProcessPoolExecutor"
_VALUE = {"a": 1, "b": "two", "c": [3.0, None]}
_SIZE = 16 * 1024 * 1024

#: Figures of the rounds by contestant: a protocol, or the executor.
Figures = dict[str, tuple[float, ...]]


def run(plan: Plan) -> Iterator[Row]:
    """Many short blocks of single calls: what else the machine does changes within seconds."""
    pools = (("Pool", faces.sync_latency), ("AsyncPool", faces.async_latency))
    for face, factory in pools:
        label, rounds = f"call p50, {face}", plan.rounds * plan.size(3, 1)
        figures = _play(rounds, factory, one_by_one, [(plan.size(500, 200),)])[0]
        yield from _beside(_EXECUTOR, label, "ms", figures, Bar(1.3, of_ratio=True))
        yield Row(f"{label}, msgpack beside grpc", "ms", figures["msgpack"], figures["grpc"], Bar(1.0, of_ratio=True))
    loads = [(in_flight, plan.size(4_000, 800) // (4 if in_flight == 1 else 1)) for in_flight in (1, 64)]
    for (in_flight, _), figures in zip(loads, _play(plan.rounds, faces.async_rate, many_at_once, loads), strict=True):
        yield from _beside(_EXECUTOR, f"AsyncPool.execute, {in_flight} in flight", "calls/s", figures)
    figures = _play(plan.rounds, faces.sync_chunks, None, [(plan.size(30_000, 5_000),)])[0]
    yield from _beside("grpc", "Pool.stream", "chunks/s", figures)
    ways = [("size_of", plan.size(4, 1)), ("bytes_of", plan.size(4, 1))]
    up, down = _play(plan.rounds, bytes_by_pool, bytes_by_executor, ways)
    yield from _beside(_EXECUTOR, f"{_SIZE >> 20} MiB of bytes up", "MB/s", up)
    yield from _beside(_EXECUTOR, f"{_SIZE >> 20} MiB of bytes down", "MB/s", down)


def _play(rounds: int, ours: Callable[..., Any], executor: Callable[..., Any] | None, loads: list[tuple[Any, ...]]) -> list[Figures]:
    """For each load, the contestants in turn: our pool on each protocol, and the executor if it can do the same."""
    with contextlib.ExitStack() as stack:
        contestants = {protocol: stack.enter_context(Contestant(ours, protocol=protocol)) for protocol in _PROTOCOLS}
        if executor is not None:
            contestants[_EXECUTOR] = stack.enter_context(Contestant(executor))
        return [dict(zip(contestants, in_turn(rounds, *contestants.values(), args=load), strict=True)) for load in loads]


def _beside(name: str, label: str, unit: str, figures: Figures, bar: Bar | None = None) -> Iterator[Row]:
    """A row per protocol with one contestant as the baseline, which has none itself; the bar is for the first, MessagePack."""
    for protocol in _PROTOCOLS:
        first = protocol == _PROTOCOLS[0]
        baseline = () if protocol == name else figures[name]
        yield Row(f"{label}, {protocol}", unit, figures[protocol], baseline, bar if first else None, f"baseline: {name}" if first else "")


@contextlib.contextmanager
def bytes_by_pool(**settings: Any) -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1, **settings) as pool:
        yield lambda tool, times: _megabytes_per_second(times, lambda: pool.execute(tool, _bytes_argument(tool)))


@contextlib.contextmanager
def bytes_by_executor() -> Iterator[Play]:
    with _executor(1) as executor:

        def call(tool: str) -> Any:
            return executor.submit(getattr(tools, tool), **_bytes_argument(tool)).result()

        yield lambda tool, times: _megabytes_per_second(times, lambda: call(tool))


def _bytes_argument(tool: str) -> dict[str, Any]:
    return {"data": tools.bytes_of(_SIZE)} if tool == "size_of" else {"size": _SIZE}


def _megabytes_per_second(times: int, call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    for _ in range(times):
        call()
    return times * _SIZE / 1e6 / (time.perf_counter() - began)


@contextlib.contextmanager
def one_by_one() -> Iterator[Play]:
    with _executor(1) as executor:

        def call() -> float:
            began = time.perf_counter()
            executor.submit(tools.echo, _VALUE).result()
            return time.perf_counter() - began

        yield lambda calls: statistics.median(call() for _ in range(calls)) * 1e3


@contextlib.contextmanager
def many_at_once() -> Iterator[Play]:
    with _executor(2) as executor:

        def play(in_flight: int, calls: int) -> float:
            running: collections.deque[concurrent.futures.Future[Any]] = collections.deque()
            began = time.perf_counter()
            for _ in range(calls):
                if len(running) == in_flight:
                    running.popleft().result()
                running.append(executor.submit(tools.echo, _VALUE))
            concurrent.futures.wait(running)
            return calls / (time.perf_counter() - began)

        yield play


def _executor(workers: int) -> concurrent.futures.ProcessPoolExecutor:
    return concurrent.futures.ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
