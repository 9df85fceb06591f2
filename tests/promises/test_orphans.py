"""Nothing outlives a host that was killed, nor a guardian that was."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from promise_figures import often
from snakepit._workers.guardian_program import below, born, children, signal_all

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="the guardian is Linux's")]

NASTY = str(pathlib.Path(__file__).resolve().parents[1] / "processes" / "nasty_tools.py")
KINDS = [
    "waits",
    "computes in C",
    "is stopped",
    "ignores SIGTERM",
    "grandchild with a session of its own",
    "detached by two forks",
    "detached, with an empty environment",
    "forks all the time",
    "process pool",
]
HOST = """
import os, sys, time
import snakepit

def main():
    kinds = sys.argv[2:]
    pool = snakepit.Pool(sys.argv[1], size=len(kinds), worker_output="discard")
    pool.start()
    for kind in kinds:
        pool.submit("misbehave", {"kind": kind}, timeout=None)
    while pool.stats().running < len(kinds):
        time.sleep(0.01)
    time.sleep(0.3)
    if os.fork() == 0:  # a copy of the host that stays
        os.setsid()
        time.sleep(60)
        os._exit(0)
    print("ready", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    main()
"""


@pytest.mark.parametrize("victim", ["host", "guardian"])
def test_nothing_outlives_it(figures: Any, tmp_path: pathlib.Path, victim: str) -> None:
    """Every descendant is gone in two seconds, whatever it did to stay, while a forked copy of the host lives on."""
    script, times = tmp_path / "host.py", []
    script.write_text(HOST)
    kinds = KINDS if victim == "host" else [kind for kind in KINDS if kind != "detached, with an empty environment"]
    for _ in range(often(200 if victim == "host" else 20, 3)):
        with subprocess.Popen([sys.executable, script, NASTY, *kinds], stdout=subprocess.PIPE, text=True) as host:
            assert host.stdout is not None
            assert host.stdout.readline() == "ready\n"
            tree = children()
            direct = tree[host.pid]
            guardian = next(pid for pid in direct if b"guardian_program" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
            copies = [pid for pid in direct if pid != guardian]
            pids = {pid: born(pid) for pid in below([guardian], tree)}
            assert len(pids) >= len(kinds)
            began = time.perf_counter()
            os.kill(host.pid if victim == "host" else guardian, signal.SIGKILL)
            while left := [pid for pid, at in pids.items() if at and born(pid) == at]:
                if time.perf_counter() - began > 10:
                    break
                time.sleep(0.002)
            times.append(time.perf_counter() - began)
            signal_all(left, signal.SIGKILL)
            host.kill()
            host.wait()
            signal_all(copies, signal.SIGKILL)
            assert left == []
    figures(f"SIGKILL of the {victim}: everything below is gone").hold(times, max=2.0)
