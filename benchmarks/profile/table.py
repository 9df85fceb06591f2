"""The whole picture as Markdown: what each path costs beside the floors, and what that goes to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from . import frames, instructions, parts, syscalls
from .subject import SIDES, between, opened, used

#: The parts of these are shown.
DETAILED = ("execute-msgpack", "execute-grpc", "gather-msgpack", "stream-grpc")
_KERNEL, _NATIVE = "the kernel: system calls, waking, switching", "libraries in C: gRPC, codec, loop, malloc"


class Counts(NamedTuple):
    """How many calls are made: first, to warm up; timed; counted."""

    warm: int
    timed: int
    counted: int

    @classmethod
    def of(cls, path: str, calls: int) -> Counts:
        """For this path; a chunk of a stream costs so little that more are needed."""
        times = 50 if path.startswith("stream") else 1
        return cls(100 * times, 20 * calls * times, calls * times)


class Side(NamedTuple):
    """One side of a path, per call: its CPU (microseconds), waits, bytecode, machine instructions, system calls, and what it goes to."""

    user: float
    system: float
    waits: float
    bytecode: float
    instructions: float
    syscalls: float
    goes_to: dict[str, float]


def look(path: str, loop: str, counts: Counts) -> tuple[float, dict[str, Side]]:
    """(microseconds on the clock, each side) of a path."""
    with opened(path, loop) as playing:
        playing.play(counts.warm)
        before = {side: used(playing.pids[side]) for side in SIDES}
        seconds = playing.play(counts.timed)
        costs = {side: between(before[side], used(playing.pids[side]), counts.timed) for side in SIDES}
    python = frames.count(path, loop, counts.warm, counts.counted)
    machine = instructions.count(path, loop, counts.warm, counts.counted)
    kernel = syscalls.count(path, loop, counts.warm, counts.counted)
    sides = {}
    for side in SIDES:
        user, system, waits, _ = costs[side]
        total, bytecode = machine[side].total, python[side].opcodes
        goes_to = _goes_to(python[side], machine[side], user, system)
        sides[side] = Side(user, system, waits, bytecode, total, sum(kernel[side].values()), goes_to)
    return seconds / counts.timed * 1e6, sides


def _goes_to(python: frames.Counts, machine: instructions.Instructions, user: float, system: float) -> dict[str, float]:
    """Shares of a side's CPU. The interpreter's instructions go to the parts as their bytecode does, the others to no part of ours."""
    if not machine.total or not user + system:
        return {}
    interpreter = sum(cost for name, cost in machine.objects if "python" in name) / machine.total
    in_user = user / (user + system)
    found = {part: opcodes / python.opcodes * interpreter * in_user for part, opcodes in parts.shares(python.functions)}
    return {**found, _NATIVE: (1 - interpreter) * in_user, _KERNEL: 1 - in_user}


def markdown(looked: dict[str, tuple[float, dict[str, Side]]]) -> Iterator[str]:
    """The lines of both tables."""
    yield "| path | us | side | CPU us: user + system | waits | bytecode | instructions | system calls |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for path, (clock, sides) in looked.items():
        for name, side in sides.items():
            if side.instructions:
                cells = f"{side.user:.1f} + {side.system:.1f} | {side.waits:.2f} | {side.bytecode:,.0f} | {side.instructions:,.0f}"
                yield f"| {path} | {clock:.1f} | {name} | {cells} | {side.syscalls:.2f} |"
    columns = [(path, side) for path in DETAILED if path in looked for side in SIDES]
    sums = {part: sum(looked[path][1][side].goes_to.get(part, 0.0) for path, side in columns) for part in _parts(looked)}
    yield ""
    yield f"| share of CPU | {' | '.join(f'{path} {side}' for path, side in columns)} |"
    yield f"| --- |{' --- |' * len(columns)}"
    for part in sorted(sums, key=lambda part: -sums[part]):
        cells = " | ".join(
            f"{share:.0%}" if (share := looked[path][1][side].goes_to.get(part, 0.0)) >= 0.005 else "" for path, side in columns
        )
        yield f"| {part} | {cells} |"


def _parts(looked: dict[str, tuple[float, dict[str, Side]]]) -> list[str]:
    return list(
        dict.fromkeys(part for path, (_, sides) in looked.items() if path in DETAILED for side in sides.values() for part in side.goes_to)
    )
