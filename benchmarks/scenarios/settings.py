"""What a setting does: each figure beside that of the default, in the same minutes. `docs/how-to/make-it-fast.md` quotes them."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Iterator
from typing import Any

import snakepit
from benchmarks import faces
from benchmarks.contest import Contestant, Play, in_turn
from benchmarks.report import Row
from benchmarks.scenarios import TOOLS, Plan

_VALUE = {"a": 1, "b": "two", "c": [3.0, None]}
#: 10 MB of floats.
_LARGE = 10_000_000 // 8


def run(plan: Plan) -> Iterator[Row]:
    calls, many = plan.size(1_000, 200), plan.size(8_000, 2_000)
    yield from _beside_default(plan, faces.sync_latency, "call p50", "ms", (calls,), {
        "SNAKEPIT_LOOP=asyncio": {"loop": "asyncio"},
        'protocol="json"': {"protocol": "json"},
        'protocol="grpc"': {"protocol": "grpc"},
        "hang_timeout=30": {"hang_timeout": 30},
        "max_memory=2**31": {"max_memory": 2**31},
    })  # fmt: skip
    yield from _beside_default(plan, mapped, "Pool.map, 64 in flight", "calls/s", (many,), {
        "pipelining=False": {"pipelining": False},
        "SNAKEPIT_LOOP=asyncio": {"loop": "asyncio"},
        'protocol="grpc"': {"protocol": "grpc"},
        "by Pool.submit": {"by": "submit"},
    })  # fmt: skip
    yield from _beside_default(plan, in_sessions, "16 sessions, strict, 64 in flight", "calls/s", (many // 2,), {
        "pipelining=False": {"pipelining": False},
        'affinity="hint"': {"affinity": "hint"},
        'affinity="hint", pipelining=False': {"affinity": "hint", "pipelining": False},
    })  # fmt: skip
    yield from _beside_default(plan, faces.sync_chunks, "small chunks", "chunks/s", (plan.size(5_000, 1_000),), {
        'protocol="grpc"': {"protocol": "grpc"},
        "window_chunks=64": {"window_chunks": 64},
    })  # fmt: skip
    yield from _beside_default(plan, large, "10 MB array, both ways", "ms", (plan.size(40, 10),), {
        "shared_memory_limit=0": {"shared_memory_limit": 0},
        "binary_threshold=2**31": {"binary_threshold": 2**31},
    })  # fmt: skip
    yield from _beside_default(plan, waiting, "16 calls of 20 ms", "ms", (plan.size(10, 3),), {
        'profile="thread", 8 threads': {"profile": "thread", "threads_per_worker": 8},
        "size=16": {"size": 16},
    })  # fmt: skip
    yield from _beside_default(plan, started, "start of 8 workers", "ms", (), {
        'launcher="template"': {"launcher": "template"},
    })  # fmt: skip


def _beside_default(
    plan: Plan, factory: Any, what: str, unit: str, args: tuple[Any, ...], changes: dict[str, dict[str, Any]]
) -> Iterator[Row]:
    """A row for each change, its baseline being the default."""
    with contextlib.ExitStack() as stack:
        contestants = [stack.enter_context(Contestant(with_loop, of=factory.__name__, **options)) for options in ({}, *changes.values())]
        default, *changed = in_turn(plan.rounds, *contestants, args=args)
    for name, figures in zip(changes, changed, strict=True):
        yield Row(f"{what}: {name}", unit, figures, default)


@contextlib.contextmanager
def with_loop(of: str, loop: str = "auto", **settings: Any) -> Iterator[Play]:
    """A contestant of this module or of `faces`, on a loop of that name, over MessagePack if nothing else is said."""
    os.environ["SNAKEPIT_LOOP"] = loop
    settings.setdefault("protocol", "msgpack")
    with (globals().get(of) or getattr(faces, of))(**settings) as play:
        yield play


@contextlib.contextmanager
def mapped(by: str = "map", **settings: Any) -> Iterator[Play]:
    """So many calls, 64 of them in flight: calls per second."""
    with snakepit.Pool(TOOLS, size=2, **settings) as pool:

        def submitted(count: int) -> Iterator[Any]:
            waiting = [pool.submit("echo", {"value": _VALUE}) for _ in range(64)]
            for number in range(count):
                yield waiting[number % 64].result()
                waiting[number % 64] = pool.submit("echo", {"value": _VALUE})

        def play(count: int) -> float:
            began = time.perf_counter()
            results = pool.map("echo", ({"value": _VALUE} for _ in range(count)), window=64) if by == "map" else submitted(count)
            seen = sum(1 for _ in results)
            return seen / (time.perf_counter() - began)

        yield play


@contextlib.contextmanager
def in_sessions(affinity: Any = "strict_queue", **settings: Any) -> Iterator[Play]:
    """So many calls of 16 sessions by turns, 64 of them in flight: calls per second."""
    with snakepit.Pool(TOOLS, size=2, **settings) as pool:

        def submit(number: int) -> Any:
            return pool.submit("echo", {"value": _VALUE}, session_id=f"session-{number % 16}", affinity=affinity)

        def play(count: int) -> float:
            began = time.perf_counter()
            waiting = [submit(number) for number in range(64)]
            for number in range(64, count):
                waiting[number % 64].result()
                waiting[number % 64] = submit(number)
            for future in waiting:
                future.result()
            return count / (time.perf_counter() - began)

        yield play


@contextlib.contextmanager
def large(**settings: Any) -> Iterator[Play]:
    """An array of floats, echoed: the median in milliseconds."""
    import numpy

    value = numpy.random.default_rng(1).random(_LARGE)
    with snakepit.Pool(TOOLS, size=1, **settings) as pool:

        def call() -> float:
            began = time.perf_counter()
            pool.execute("array_echo", {"value": value})
            return time.perf_counter() - began

        yield lambda calls: statistics.median(call() for _ in range(calls)) * 1e3


@contextlib.contextmanager
def waiting(size: int = 2, **settings: Any) -> Iterator[Play]:
    """Sixteen calls at once that wait for something else: the median, in milliseconds, until all are back."""
    with snakepit.Pool(TOOLS, size=size, **settings) as pool:

        def calls() -> float:
            began = time.perf_counter()
            for future in [pool.submit("nap", {"seconds": 0.02}) for _ in range(16)]:
                future.result()
            return time.perf_counter() - began

        yield lambda times: statistics.median(calls() for _ in range(times)) * 1e3


@contextlib.contextmanager
def started(**settings: Any) -> Iterator[Play]:
    """A pool of its own each time."""

    def play() -> float:
        began = time.perf_counter()
        with snakepit.Pool(TOOLS, size=8, **settings) as pool:
            pool.execute("echo", {"value": _VALUE})
            return (time.perf_counter() - began) * 1e3

    yield play
