"""`python -m benchmarks.profile PATH ...`: count what a path costs per call, at the host and at its workers, and print it."""

from __future__ import annotations

import argparse
import sys

from . import frames, instructions, parts, syscalls, table
from .paths import FLOORS, PATHS
from .subject import SIDES, between, opened, used
from .table import Counts

_LOOKS = ("cost", "frames", "syscalls", "instructions")


def main(argv: list[str] | None = None) -> int:
    """The exit code: 0; 2 for a usage error."""
    options = _parser().parse_args(argv)
    loop = "uvloop" if options.uvloop else "asyncio"
    paths = options.path or [*PATHS, *FLOORS]
    if options.table:
        for line in table.markdown({path: table.look(path, loop, Counts.of(path, options.calls)) for path in paths}):
            print(line)
        return 0
    for path in paths:
        print(f"\n## {path}, {loop}\n", flush=True)
        counts = Counts.of(path, options.calls)
        for look in options.only or _LOOKS:
            _SHOWN[look](path, loop, counts, options.top)
            sys.stdout.flush()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.profile",
        description="Count what a call costs, per call, at the host and at its workers apart. What the start costs is not in it.",
        epilog="Instructions and bytecode are exact, whatever else the machine does; microseconds are not: read their ratios.",
    )
    known = [*PATHS, *FLOORS]
    parser.add_argument("path", nargs="*", metavar="PATH", choices=[*known, []], help=f"{', '.join(known)}; all by default")
    parser.add_argument("--only", action="append", choices=_LOOKS, help="one way of looking (may be repeated): %(choices)s")
    parser.add_argument("--table", action="store_true", help="all as two tables in Markdown; needs strace and valgrind")
    parser.add_argument("--uvloop", action="store_true", help="the host's loop is uvloop's")
    parser.add_argument(
        "--calls", type=int, default=300, metavar="N", help="calls that are counted (default %(default)s); chunks: 50 times as many"
    )
    parser.add_argument("--top", type=int, default=40, metavar="N", help="functions that are listed of each side (default %(default)s)")
    return parser


def _cost(path: str, loop: str, counts: Counts, _top: int) -> None:
    with opened(path, loop) as playing:
        playing.play(counts.warm)
        before = {side: used(playing.pids[side]) for side in SIDES}
        seconds = playing.play(counts.timed)
        after = {side: used(playing.pids[side]) for side in SIDES}
    print(f"{seconds / counts.timed * 1e6:.1f} us per call on the clock")
    for side in SIDES:
        cost = between(before[side], after[side], counts.timed)
        cpu = f"{cost.user_us:.1f} us of CPU and {cost.system_us:.1f} in the kernel"
        print(f"{side}: {cpu}, {cost.waits:.2f} waits, {cost.preempted:.2f} preempted")


def _frames(path: str, loop: str, counts: Counts, top: int) -> None:
    for side, found in frames.count(path, loop, counts.warm, counts.counted).items():
        print(f"{side}: {found.opcodes:.0f} bytecode instructions in {found.calls:.1f} calls of Python functions")
        for part, opcodes in parts.shares(found.functions):
            print(f"  {opcodes:8.1f} {opcodes / found.opcodes:6.1%}  {part}")
        print("  bytecode: own, with what it calls; calls; function")
        for function in found.functions[:top]:
            print(f"  {function.opcodes:8.1f} {function.within:8.1f} {function.calls:7.2f}  {function.name}")
        print("  in C:", ", ".join(f"{name} {times:.2f}" for name, times in found.c_calls[:top]))


def _syscalls(path: str, loop: str, counts: Counts, _top: int) -> None:
    if not syscalls.available():
        print("system calls: strace is not installed")
        return
    for side, found in syscalls.count(path, loop, counts.warm, counts.counted).items():
        print(
            f"{side}: system calls {sum(found.values()):.1f}:",
            ", ".join(f"{name} {times:.2f}" for name, times in found.items() if times >= 0.005),
        )


def _instructions(path: str, loop: str, counts: Counts, top: int) -> None:
    if not instructions.available():
        print("instructions: valgrind is not installed")
        return
    for side, found in instructions.count(path, loop, counts.warm, counts.counted).items():
        print(f"{side}: {found.total:.0f} machine instructions")
        for kind in (found.objects[:6], found.functions[: top // 2]):
            print("  " + ", ".join(f"{name} {cost:.0f}" for name, cost in kind))


_SHOWN = {"cost": _cost, "frames": _frames, "syscalls": _syscalls, "instructions": _instructions}


if __name__ == "__main__":
    sys.exit(main())
