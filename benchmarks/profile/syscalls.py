"""Counts system calls by name, as `strace` sees them; it makes each of them slow, so that what is in flight piles up less."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from .subject import SIDES, opened

_SECONDS = 20.0
_ROW = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(?P<calls>\d+)\s+(?:\d+\s+)?(?P<name>\w+)$")


def available() -> bool:
    return shutil.which("strace") is not None


def count(path: str, loop: str, warm: int, calls: int) -> dict[str, dict[str, float]]:
    """What each side of a path asks of the kernel per call, by name, most first."""
    with tempfile.TemporaryDirectory(prefix="profile-") as folder, opened(path, loop) as playing:
        playing.play(warm)
        files = {side: [Path(folder, str(pid)) for pid in playing.pids[side]] for side in SIDES}
        with contextlib.ExitStack() as stack:
            for file in (file for side in SIDES for file in files[side]):
                stack.enter_context(_watched(int(file.name), file))
            playing.play(calls)
        return {side: _sum(files[side], calls) for side in SIDES}


@contextlib.contextmanager
def _watched(pid: int, file: Path) -> Iterator[None]:
    tracer = subprocess.Popen(["strace", "-c", "-f", "-o", str(file), "-p", str(pid)], stderr=subprocess.PIPE, text=True)
    with tracer:
        assert tracer.stderr is not None
        timer = threading.Timer(_SECONDS, tracer.kill)
        timer.start()
        try:
            line = tracer.stderr.readline()
            if "attached" not in line:
                raise RuntimeError(f"strace does not attach: {line.strip() or 'it has ended'}")
            yield
        finally:
            timer.cancel()
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.communicate(timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                tracer.kill()


def _sum(files: list[Path], calls: int) -> dict[str, float]:
    totals: dict[str, int] = {}
    for file in files:
        for line in file.read_text().splitlines():
            row = _ROW.match(line)
            if row is not None and row["name"] != "total":
                totals[row["name"]] = totals.get(row["name"], 0) + int(row["calls"])
    return {name: total / calls for name, total in sorted(totals.items(), key=lambda item: -item[1])}
