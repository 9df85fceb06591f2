"""Hosts whose workers misbehave in every way (`nasty_tools`), and how it is told that nothing of them is left.

Used by the tests of single cases (`processes/test_no_orphans.py`) and by those of the promise (`promises/test_orphans.py`).
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from snakepit._workers.guardian_proc import below, born, children, signal_all

TOOLS = str(pathlib.Path(__file__).with_name("nasty_tools.py"))
#: All that is below must have gone after so long (seconds).
WITHIN = 2.0
#: Of the kinds in `nasty_tools`, those that are let loose on a host together.
KINDS = [
    "waits",
    "computes in C",
    "is stopped",
    "ignores SIGTERM",
    "grandchild with a session of its own",
    "grandchild with an empty environment",
    "detached by two forks",
    "detached, with an empty environment",
    "forks all the time",
    "process pool",
    "leaves, but for a thread",
]

_HOST = """
import os, pathlib, sys, time
import snakepit

def main():
    tools, folder, launcher, *kinds = sys.argv[1:]
    pool = snakepit.Pool(tools, size=len(kinds), worker_output="discard", cancel_timeout=60, launcher=launcher)
    pool.start()
    for kind in kinds:
        pool.submit("misbehave", {"kind": kind, "folder": folder}, timeout=None)
    while len(list(pathlib.Path(folder).iterdir())) < len(kinds):
        time.sleep(0.01)
    if os.fork() == 0:  # a copy of the host that stays
        os.setsid()
        time.sleep(60)
        os._exit(0)
    print("ready", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    main()
"""


class NastyHost:
    """A process with a pool, each of whose workers misbehaves in a way of its own, and with a forked copy of itself.

    Attributes:
        process: the host; keeper, guardian: see `guardian_program`; copy: the forked copy, which is to live on.
        below: its other descendants, with when each began.
    """

    def __init__(self, folder: pathlib.Path, kinds: list[str], launcher: str = "spawn") -> None:
        script, begun = folder / "host.py", folder / "begun"
        script.write_text(_HOST)
        begun.mkdir()
        command = [sys.executable, str(script), TOOLS, str(begun), launcher, *kinds]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(folder)})
        try:
            self._look(len(kinds))
        except BaseException:
            self.process.kill()
            raise

    def _look(self, workers: int) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        tree = children()
        (self.keeper,) = keepers(self.process.pid)
        (self.guardian,) = tree[self.keeper]
        (self.copy,) = set(tree[self.process.pid]) - {self.keeper}
        self.below = family(self.process.pid)
        self.below.pop(self.copy)
        assert len(self.below) > workers + 2

    def end(self) -> None:
        """End it and its copy; what is below it should have gone."""
        self.process.kill()
        self.process.wait()
        signal_all([self.copy], signal.SIGKILL)
        assert self.process.stdout is not None
        self.process.stdout.close()


def family(pid: int) -> dict[int, int]:
    """A process's living descendants, with when each began."""
    return {item: at for item in below([pid], children()) if (at := born(item)) is not None}


def keepers(pid: int) -> list[int]:
    """The keepers of guardians among a process's children."""
    return [item for item in children().get(pid, []) if "guardian_program" in _command(item)]


def gone_within(pids: dict[int, int], seconds: float) -> float:
    """How long it took until all of them had gone; fails, and ends them, if some have not."""
    began = time.perf_counter()
    while left := [pid for pid, at in pids.items() if born(pid) == at]:
        if time.perf_counter() - began > seconds:
            names = [_command(pid)[:80] for pid in left]
            signal_all(left, signal.SIGKILL)
            pytest.fail(f"after {seconds:g} s there are still: {names}")
        time.sleep(0.002)
    return time.perf_counter() - began


def _command(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:  # it has just gone
        return ""
