"""Counts machine instructions with valgrind's callgrind: exact, and the same whatever else the machine does.

Callgrind runs one thread at a time, some fifty times slower. It follows every process that is started, counts only while it is told
to, and is told so from outside, so that the start costs little time.
"""

from __future__ import annotations

import collections
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from .subject import SIDES, opened

_TELL_SECONDS = 60.0
_SLOWER = 50
_NAMED = re.compile(r"^(?P<kind>fn|cfn|ob|cob)=\((?P<id>\d+)\)(?: (?P<name>.*))?$")


class Instructions(NamedTuple):
    """One side, per call of the path.

    Attributes:
        total: machine instructions.
        objects: those of each program or shared library, most first. functions: those of each function in C itself.
    """

    total: float
    objects: list[tuple[str, float]]
    functions: list[tuple[str, float]]


def available() -> bool:
    return shutil.which("valgrind") is not None and shutil.which("vgdb") is not None


def count(path: str, loop: str, warm: int, calls: int) -> dict[str, Instructions]:
    """What each side of a path costs per call."""
    with tempfile.TemporaryDirectory(prefix="profile-") as folder:
        under = ["valgrind", "--tool=callgrind", "--trace-children=yes", "--instr-atstart=no", "--quiet"]
        under += [f"--callgrind-out-file={folder}/%p", f"--vgdb-prefix={folder}/vgdb", f"--log-file={folder}/log.%p"]
        with opened(path, loop, slower=_SLOWER, under=under) as playing:
            pids = [pid for side in SIDES for pid in playing.pids[side]]
            playing.play(warm)
            for pid in pids:
                _tell(folder, pid, "instrumentation", "on")
            playing.play(warm)  # Translates what will run.
            for pid in pids:
                _tell(folder, pid, "zero")
            playing.play(calls)
            for pid in pids:
                _tell(folder, pid, "dump")
                _tell(folder, pid, "instrumentation", "off")
            return {side: _read([Path(folder, f"{pid}.1") for pid in playing.pids[side]], calls) for side in SIDES}


def _tell(folder: str, pid: int, *order: str) -> None:
    command = ["vgdb", f"--vgdb-prefix={folder}/vgdb", f"--pid={pid}", *order]
    subprocess.run(command, check=True, capture_output=True, timeout=_TELL_SECONDS)


def _read(files: list[Path], calls: int) -> Instructions:
    own: collections.Counter[tuple[str, str]] = collections.Counter()
    for file in files:
        _add(file, own)
    objects: collections.Counter[str] = collections.Counter()
    functions: collections.Counter[str] = collections.Counter()
    for (place, name), cost in own.items():
        objects[Path(place).name.partition(".")[0]] += cost
        functions[name.partition("'")[0]] += cost  # Behind that stands how deep it calls itself.
    per_call = [[(name, cost / calls) for name, cost in counter.most_common()] for counter in (objects, functions)]
    return Instructions(own.total() / calls, *per_call)


def _add(file: Path, own: collections.Counter[tuple[str, str]]) -> None:
    """One file as `callgrind_annotate` reads it: names are told once and numbered; what follows `calls=` is not the function's own."""
    names: dict[tuple[str, str], str] = {}
    now = {"ob": "", "fn": ""}
    inclusive = False
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line[0] in "+-*0123456789":
                if not inclusive:
                    own[now["ob"], now["fn"]] += int(line.split()[1])
                inclusive = False
            elif (named := _NAMED.match(line.rstrip("\n"))) is not None:
                kind = named["kind"][-2:]
                name = names.setdefault((kind, named["id"]), named["name"] or "")
                if named["kind"] == kind:
                    now[kind] = name
            elif line.startswith("calls="):
                inclusive = True
