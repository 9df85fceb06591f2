"""Counts Python: which functions are called, and how many bytecode instructions of its own each one runs. Needs no tool.

The counts are exact and nearly the same each time; how they are made slows everything down some thirty times, so that where several
calls are in flight, fewer wake-ups are seen than there would be.
"""

from __future__ import annotations

import collections
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import snakepit

from .subject import SIDES, opened

_INSIDE = Path(__file__).parent / "inside"
_TELL_SECONDS = 20.0
_AGAIN_SECONDS = 0.05
#: So many times slower is what is counted.
_SLOWER = 30


class Function(NamedTuple):
    """One Python function, per call of the path.

    Attributes:
        name: with its file and line.
        calls: how often it is called.
        opcodes: bytecode instructions of its own. within: those of what it calls too.
    """

    name: str
    calls: float
    opcodes: float
    within: float


class Counts(NamedTuple):
    """One side, per call."""

    functions: list[Function]
    c_calls: list[tuple[str, float]]

    @property
    def calls(self) -> float:
        return sum(function.calls for function in self.functions)

    @property
    def opcodes(self) -> float:
        return sum(function.opcodes for function in self.functions)


def count(path: str, loop: str, warm: int, calls: int) -> dict[str, Counts]:
    """What each side of a path does per call."""
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        paths = os.pathsep.join([str(_INSIDE), *filter(None, [os.environ.get("PYTHONPATH")])])
        with opened(path, loop, slower=_SLOWER, env={"PYTHONPATH": paths, "SNAKEPIT_PROFILE_FOLDER": folder}) as playing:
            playing.play(warm)
            pids = [pid for side in SIDES for pid in playing.pids[side]]
            _order(Path(folder), pids, "begin")
            playing.play(calls)
            _order(Path(folder), pids, "tell")
            return {side: _of([Path(folder, f"{pid}.tell") for pid in playing.pids[side]], calls) for side in SIDES}


def _order(folder: Path, pids: list[int], order: str) -> None:
    (folder / order).touch()
    until = time.monotonic() + _TELL_SECONDS
    while left := [pid for pid in pids if not (folder / f"{pid}.{order}").exists()]:
        if time.monotonic() > until:
            raise TimeoutError(f"process {left[0]} does not {order}")
        for pid in left:
            os.kill(pid, signal.SIGUSR2)
        time.sleep(_AGAIN_SECONDS)


def _of(files: list[Path], calls: int) -> Counts:
    functions: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0])
    c_calls: collections.Counter[str] = collections.Counter()
    for file in files:
        told: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for place, line, name, *figures in told["functions"]:
            sums = functions[f"{_short(place)}:{line} {name}"]
            for at, figure in enumerate(figures):
                sums[at] += figure
        c_calls.update(told["c_calls"])
    rows = [Function(name, *(figure / calls for figure in sums)) for name, sums in functions.items()]
    rows.sort(key=lambda row: (-row.opcodes, row.name))
    return Counts(rows, [(name, times / calls) for name, times in c_calls.most_common()])


def _short(place: str) -> str:
    """A file's path without where that lies."""
    for root in (Path(snakepit.__file__).parent.parent, Path(__file__).parents[2], *map(Path, sorted(sys.path, key=len, reverse=True))):
        if root.is_absolute() and Path(place).is_relative_to(root):
            return str(Path(place).relative_to(root))
    return place
