"""What a decision costs does not depend on how many workers, calls and sessions there are. Counted, not timed."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import sys

import pytest

import scale_scenes
from operations import operations
from scale_scenes import Scene
from snakepit._pool.deadlock import Nested, is_served
from snakepit._pool.seat import Seat
from snakepit._workers.bench import Bench

SCENES = [
    scale_scenes.Queue,
    scale_scenes.Cancelled,
    scale_scenes.Idle,
    scale_scenes.Pipelined,
    scale_scenes.TakenBack,
    scale_scenes.Sessions,
    scale_scenes.OneSession,
    scale_scenes.Streams,
    scale_scenes.Replaced,
]
#: Workers, and calls or sessions: a few of both, many of either, many of both.
FEW, MANY, MOST = (2, 8), [(2, 3_000), (300, 8), (100, 3_000)], [(2, 100_000), (1_000, 8), (1_000, 100_000)]
#: What a step may cost, as a multiple of what it costs with a few.
FACTOR = 1.5


def step_cost(scene: type[Scene], workers: int, queued: int, before: int = 40, steps: int = 20) -> float:
    there = scene(workers, queued)

    def work() -> None:
        for _ in range(steps):
            there.step()

    for _ in range(before):
        there.step()
    return operations(work) / steps


@pytest.mark.parametrize("size", MANY)
@pytest.mark.parametrize("scene", SCENES)
def test_a_decision_costs_the_same(scene: type[Scene], size: tuple[int, int]) -> None:
    """With hundreds of workers, thousands of calls and sessions, or both, it takes as many instructions as with a few."""
    assert step_cost(scene, *size) <= FACTOR * step_cost(scene, *FEW)


@pytest.mark.slow
@pytest.mark.parametrize("size", MOST)
@pytest.mark.parametrize("scene", SCENES)
def test_a_decision_costs_the_same_at_the_most(scene: type[Scene], size: tuple[int, int]) -> None:
    """With 1,000 workers and 100,000 calls or sessions, likewise."""
    assert step_cost(scene, *size) <= FACTOR * step_cost(scene, *FEW)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts the instructions")
def test_what_runs_in_c_costs_the_same(tmp_path: pathlib.Path) -> None:
    """So do the processor's own instructions: to find the first key of a dict, it passes all that have left at its front."""
    # A dict of 12,000 has room for 9,000 more: just before it would grow, and forget them, as many have left at its front.
    assert machine_cost(tmp_path, 12_000, before=9_000) <= 1.2 * machine_cost(tmp_path, 8)


def machine_cost(folder: pathlib.Path, queued: int, before: int = 0, steps: int = 50) -> float:
    """Instructions of the processor for one step with two workers, as callgrind counts them, after so many others."""
    program = [sys.executable, "-E", scale_scenes.__file__, "Queue", "2", str(queued), str(before), str(steps)]
    out = folder / str(queued)
    tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--zero-before=getpgrp", "--dump-before=getppid"]
    subprocess.run([*tool, *program], check=True, capture_output=True, timeout=120)
    text = out.with_name(out.name + ".1").read_text(encoding="ascii", errors="replace")
    return int(next(line for line in text.splitlines() if line.startswith("summary:")).split()[1]) / steps


def nested_cost(workers: int) -> int:
    """Of seeing that a host tool's call will be served, where all workers but the last run calls that wait for theirs."""
    seats = {f"worker-{number}": Seat(1, running={number}, holder=number) for number in range(workers)}
    waiting = dict.fromkeys(range(workers - 1))
    return operations(lambda: is_served(Nested(workers, 0), seats, waiting))


def test_a_nested_call_costs_the_same() -> None:
    """As long as fewer calls wait for host tools than there are workers, the workers are not looked at one by one."""
    assert nested_cost(1_000) == nested_cost(2)


def spares_cost(spares: int) -> int:
    """Of the loss of the worker that serves, and of another that becomes ready, beside so many spares."""
    bench = Bench(1)
    for number in range(spares + 1):
        bench.ready(str(number))
    return operations(lambda: (bench.gone("0"), bench.ready("another"), bool(bench)))


def test_a_replacement_costs_the_same() -> None:
    """With a thousand ready workers as with a few."""
    assert spares_cost(1_000) == spares_cost(2)
