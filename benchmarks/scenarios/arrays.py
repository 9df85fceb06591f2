"""Arrays of floats to a worker and back, beside lists of them as JSON through the same call."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any

import numpy

import snakepit
from benchmarks.contest import Contestant, Play
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

#: (floats, how many calls a round has, how much faster than JSON it has to be).
_SIZES = ((128, 200, 0.95), (1_280, 100, 2), (12_800, 20, 15), (131_072, 3, 100), (1_310_720, 1, 300), (13_107_200, 1, 300))
_LISTS = (12_800, 131_072)


def thorough(plan: Plan) -> int:
    """So many rounds, nine at least: memory that is touched for the first time makes the first of them odd."""
    return plan.size(max(plan.rounds, 9), plan.rounds)


def run(plan: Plan) -> Iterator[Row]:
    sizes = _SIZES[:5] if plan.quick else _SIZES
    with Contestant(pool) as ours, Contestant(pool) as theirs:
        for count, calls, limit in sizes:
            our, their = _interleaved(plan, ours, theirs, ("echo", count, calls), ("echo_json", count, calls))
            bar = Bar(limit, at_least=True, of_ratio=True)
            yield Row(f"array of {8 * count / 1024:,.0f} KiB in and out", "calls/s", our, their, bar, "baseline: tolist, JSON, asarray")
        for count in _LISTS:
            our, their = _interleaved(plan, ours, theirs, ("echo_list", count, 3), ("echo_list_json", count, 3))
            yield Row(f"list of {count:,} floats in and out", "calls/s", our, their, None, "baseline: JSON")


def _interleaved(plan: Plan, ours: Contestant, theirs: Contestant, our: tuple[Any, ...], their: tuple[Any, ...]) -> list[list[float]]:
    """Rounds in turn, each of other work; calls per second."""
    found: list[list[float]] = [[], []]
    for number in range(thorough(plan) + 1):
        for at, (contestant, work) in enumerate(((ours, our), (theirs, their))):
            seconds = contestant.play(*work)
            if number:
                found[at].append(work[2] / seconds)
    return found


@contextlib.contextmanager
def pool(**settings: Any) -> Iterator[Play]:
    """Plays a kind of work on so many floats: seconds."""
    with snakepit.Pool(TOOLS, size=1, **{"protocol": "msgpack", **settings}) as opened:
        values: dict[int, Any] = {}

        def play(kind: str, count: int, calls: int = 1) -> float:
            value = values.setdefault(count, numpy.random.default_rng(1).random(count))
            work = _WORK[kind]
            given = value.tolist() if kind.startswith("echo_list") else value
            began = time.perf_counter()
            for _ in range(calls):
                work(opened, given)
            return time.perf_counter() - began

        yield play


def _up(opened: snakepit.Pool, value: Any) -> None:
    opened.execute("array_sum", {"value": value})


def _down(opened: snakepit.Pool, value: Any) -> None:
    opened.execute("array_of", {"count": len(value)}).sum()


def _echo(opened: snakepit.Pool, value: Any) -> None:
    _check(opened.execute("array_echo", {"value": value}), value)


def _echo_json(opened: snakepit.Pool, value: Any) -> None:
    text = opened.execute("array_echo_json", {"text": json.dumps(value.tolist())})
    _check(numpy.asarray(json.loads(text)), value)


def _echo_list(opened: snakepit.Pool, value: Any) -> None:
    _check(opened.execute("array_echo", {"value": value}), value)


def _echo_list_json(opened: snakepit.Pool, value: Any) -> None:
    _check(json.loads(opened.execute("list_echo_json", {"text": json.dumps(value)})), value)


def _check(found: Any, value: Any) -> None:
    if len(found) != len(value) or found[-1] != value[-1]:
        raise RuntimeError("something else came back")


_WORK: dict[str, Any] = {
    "up": _up,
    "down": _down,
    "echo": _echo,
    "echo_json": _echo_json,
    "echo_list": _echo_list,
    "echo_list_json": _echo_list_json,
}
