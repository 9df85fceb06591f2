"""Processes that a worker has inherited: what is too many is reaped, and nothing that somebody waits for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only there a worker inherits")

_PROGRAM = """
import ctypes, os, subprocess, sys, time
from snakepit_bridge._runtime.inherited import Inherited

ctypes.CDLL(None).prctl(36, 1)  # a subreaper, as every worker
ours = [subprocess.Popen(["sh", "-c", "exit 3"]) for _ in range(8)]

def zombies():
    me = str(os.getpid())
    stats = [open(f"/proc/{name}/stat").read().rpartition(")")[2].split()[:2] for name in os.listdir("/proc") if name.isdigit()]
    return sum(stat == ["Z", me] for stat in stats)

inherited = Inherited(most=4, grace=0.2)
assert inherited.reap() == 0
for _ in range(20):
    subprocess.run("sleep 0.01 & true", shell=True)
deadline = time.monotonic() + 20
while zombies() < 28:
    assert time.monotonic() < deadline, zombies()
    time.sleep(0.01)
inherited.reap()
assert zombies() == 28  # nobody knows yet how long they have been dead
reaped = 0
while reaped < 16:
    assert time.monotonic() < deadline, (reaped, zombies())
    time.sleep(0.05)
    reaped += inherited.reap()
print(zombies(), [process.wait() for process in ours])
"""


def test_what_is_too_many_is_reaped_and_no_status_is_lost() -> None:
    """The commands of a tool that were not waited for yet keep their status; of what they have left behind, a few stay."""
    source = str(Path(__file__).resolve().parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False, env={"PYTHONPATH": source, "PATH": "/usr/bin:/bin"}
    )
    assert done.stderr == ""
    left, _, codes = done.stdout.partition(" ")
    assert codes.strip() == str([3] * 8)
    assert 8 <= int(left) <= 12
