"""The tools that the benchmarks run in workers, and the small dicts that ours and the baseline both send."""

import functools
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

from snakepit_bridge.base_adapter import current_call, tool

#: For the thread profile: nothing here is changed by a call.
thread_safe = True


def small_dicts(count: int) -> Iterator[dict[str, Any]]:
    for i in range(count):
        yield {"i": i, "total": count, "message": "step", "is_final": i == count - 1}


@tool
def echo(value: dict[str, Any]) -> dict[str, Any]:
    return value


@tool
def nap(seconds: float) -> None:
    time.sleep(seconds)


@tool
def size_of(data: bytes) -> int:
    return len(data)


@tool
def bytes_of(size: int) -> bytes:
    return _filled(size)


@tool
def array_sum(value: Any) -> float:
    return float(value.sum())


@tool
def array_of(count: int) -> Any:
    return _numbers(count)


@tool
def array_echo(value: Any) -> Any:
    return value


@tool
def array_echo_json(text: str) -> str:
    import numpy

    return json.dumps(numpy.asarray(json.loads(text)).tolist())


@tool
def list_echo_json(text: str) -> str:
    return json.dumps(json.loads(text))


@tool
def ask(value: dict[str, Any]) -> Any:
    return current_call().host_tools["double"](value["i"])


@tool(supports_streaming=True)
def count_up(count: int) -> Iterator[dict[str, Any]]:
    return small_dicts(count)


@tool(supports_streaming=True)
def endless() -> Iterator[dict[str, Any]]:
    for i in itertools.count():
        yield {"i": i, "message": "step"}


@tool(supports_streaming=True)
def compute_and_stamp(count: int, milliseconds: float) -> Iterator[dict[str, Any]]:
    """Compute so long in plain Python for each chunk, and say when it was yielded (CLOCK_MONOTONIC: one clock for all processes)."""
    turns = _turns_in(milliseconds / 1e3)
    for i in range(count):
        yield {"i": i, "sum": _compute(turns), "yielded_ns": time.monotonic_ns()}


@functools.lru_cache(maxsize=4)
def _numbers(count: int) -> Any:
    import numpy

    return numpy.random.default_rng(1).random(count)


@functools.lru_cache(maxsize=1)
def _filled(size: int) -> bytes:
    """Made once, and not of zeros, of which the kernel would keep one page for all."""
    return b"\xa5" * size


def _compute(turns: int) -> int:
    total = 0
    for n in range(turns):
        total += n & 7
    return total


def _turns_in(seconds: float) -> int:
    turns, best = 20_000, float("inf")
    for _ in range(5):  # The best of five: others may have been running meanwhile.
        began = time.perf_counter()
        _compute(turns)
        best = min(best, time.perf_counter() - began)
    return max(1, int(turns * seconds / best))
