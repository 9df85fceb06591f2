"""A path in a process of its own, as whoever measures it sees it; and what the kernel says of its processes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.contest import ROOT

#: Who is asked of: the process that calls, and those that answer.
SIDES = ("host", "worker")
_END_SECONDS = 30.0


class Playing:
    """A path that has been opened.

    Attributes:
        pids: the processes of each side.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.pids: dict[str, list[int]] = json.loads(self._answer())

    def play(self, count: int) -> float:
        """Make so many calls; the seconds they took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the path ended with code {self._process.wait()}; its last words are above")
        return answer


@contextlib.contextmanager
def opened(path: str, loop: str, *, slower: int = 1, under: Sequence[str] = (), env: dict[str, str] | None = None) -> Iterator[Playing]:
    """A path, opened.

    Args:
        loop: `asyncio` or `uvloop`.
        slower: how many times slower all of it is, for being looked at.
        under: a program that runs it, with its options.
        env: what its environment has beside ours.
    """
    command = [*under, sys.executable, "-m", "benchmarks.profile.play", path, loop, str(slower)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **(env or {})}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield Playing(process)
        finally:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


class Usage(NamedTuple):
    """What processes have used since they began.

    Attributes:
        cpu: in seconds.
        user, system: how often a tick of the kernel's clock has found them there.
        waits: how often a thread went to sleep. preempted: how often one had to leave its CPU.
    """

    cpu: float
    user: int
    system: int
    waits: int
    preempted: int


def used(pids: list[int]) -> Usage:
    """What these processes have used, from /proc."""
    cpu, counts = 0.0, [0, 0, 0, 0]
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        found = [int(fields[11]), int(fields[12]), 0, 0]
        for task in Path(f"/proc/{pid}/task").iterdir():
            cpu += int((task / "schedstat").read_text().split()[0]) / 1e9
            status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
            found[2] += int(status["voluntary_ctxt_switches"])
            found[3] += int(status["nonvoluntary_ctxt_switches"])
        counts = [a + b for a, b in zip(counts, found, strict=True)]
    return Usage(cpu, *counts)


class Cost(NamedTuple):
    """The difference of two usages, per call. CPU time is exact, its split is what the ticks saw."""

    user_us: float
    system_us: float
    waits: float
    preempted: float


def between(before: Usage, after: Usage, count: int) -> Cost:
    """What so many calls have cost."""
    cpu, user, system, waits, preempted = (b - a for a, b in zip(before, after, strict=True))
    micros, share = cpu / count * 1e6, user / (user + system) if user + system else 1.0
    return Cost(micros * share, micros * (1 - share), waits / count, preempted / count)
