"""What a session costs: `execute` in one beside `execute` without, and in one of 100,000 beside one of 100."""

from __future__ import annotations

import contextlib
import random
import statistics
import time
from collections.abc import Iterator
from typing import Any

import snakepit
from benchmarks.contest import Contestant, Play, in_turn, on_loop
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

_FEW, _MANY = 100, 100_000
_VALUE = {"value": {"i": 1, "message": "step"}}


def run(plan: Plan) -> Iterator[Row]:
    calls = plan.size(2_000, 300)
    for factory, face in ((sync_pool, "Pool"), (async_pool, "AsyncPool")):
        with Contestant(factory) as contestant:
            (rounds,) = in_turn(plan.rounds, contestant, args=(calls,))
        bound, free = zip(*rounds, strict=True)
        yield Row(f"call p50 in a session, {face}.execute", "ms", bound, free, Bar(1.15, of_ratio=True))
    many = plan.size(_MANY, 10_000)
    with Contestant(crowded_pool, sessions=many) as crowded, Contestant(crowded_pool, sessions=_FEW) as roomy:
        ours, baseline = in_turn(plan.rounds, crowded, roomy, args=(calls,))
    yield Row(f"call p50 in one of {many:,} sessions", "ms", ours, baseline, Bar(1.15, of_ratio=True), f"baseline: in one of {_FEW}")


@contextlib.contextmanager
def sync_pool() -> Iterator[Play]:
    with snakepit.Pool(TOOLS, size=1) as pool, pool.session() as session:

        def p50(execute: Any, calls: int) -> float:
            times = []
            for _ in range(calls):
                began = time.perf_counter()
                execute("echo", _VALUE)
                times.append(time.perf_counter() - began)
            return statistics.median(times) * 1e3

        def in_session(tool: str, args: dict[str, Any]) -> Any:
            return pool.execute(tool, args, session_id=session)

        yield lambda calls: [p50(in_session, calls), p50(pool.execute, calls)]


@contextlib.contextmanager
def async_pool() -> Iterator[Play]:
    with on_loop(snakepit.AsyncPool(TOOLS, size=1)) as (runner, pool):
        session = pool.session()
        runner.run(session.open())

        async def p50(calls: int, **options: Any) -> float:
            times = []
            for _ in range(calls):
                began = time.perf_counter()
                await pool.execute("echo", _VALUE, **options)
                times.append(time.perf_counter() - began)
            return statistics.median(times) * 1e3

        yield lambda calls: [runner.run(p50(calls, session_id=session)), runner.run(p50(calls))]


@contextlib.contextmanager
def crowded_pool(sessions: int) -> Iterator[Play]:
    dice = random.Random(7)
    with on_loop(snakepit.AsyncPool(TOOLS, size=1, max_sessions=2 * _MANY)) as (runner, pool):

        async def open_all() -> None:
            for number in range(sessions):
                await pool.session(f"s{number}").open()

        async def p50(calls: int) -> float:
            times = []
            for _ in range(calls):
                session_id = f"s{dice.randrange(sessions)}"
                began = time.perf_counter()
                await pool.execute("echo", _VALUE, session_id=session_id)
                times.append(time.perf_counter() - began)
            return statistics.median(times) * 1e3

        runner.run(open_all())
        yield lambda calls: runner.run(p50(calls))
