"""A tool that calls a function of the application: its round trip beside a plain `execute`."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator

import snakepit
from benchmarks.contest import Contestant, Play, in_turn
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan


def run(plan: Plan) -> Iterator[Row]:
    with Contestant(sync_pool) as contestant:
        (rounds,) = in_turn(plan.rounds, contestant, args=(plan.size(1_000, 200),))
    asking, plain = zip(*rounds, strict=True)
    yield Row("call p50 with one call of a host tool inside", "ms", asking, plain, Bar(2.5, of_ratio=True), "baseline: without")


@contextlib.contextmanager
def sync_pool() -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1) as pool:

        @pool.host_tool
        def double(value: int) -> int:
            return 2 * value

        def p50(tool: str, calls: int) -> float:
            times = []
            for _ in range(calls):
                began = time.perf_counter()
                pool.execute(tool, {"value": {"i": 1}})
                times.append(time.perf_counter() - began)
            return statistics.median(times) * 1e3

        yield lambda calls: [p50("ask", calls), p50("echo", calls)]
