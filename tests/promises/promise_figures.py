"""Figures of promises, held against their bounds and the machine's own delay; and how often each promise is tried.

A figure may be exceeded by the p99 of what a bare process, which only sleeps, is woken late in the same run. Nothing is retried.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence

#: With PROMISES=full each promise is tried as often as it is stated.
FULL = os.environ.get("PROMISES") == "full"

_SLEEPER = """
import time
late = []
for _ in range(300):
    began = time.perf_counter()
    time.sleep(0.001)
    late.append(time.perf_counter() - began - 0.001)
print(sorted(late)[296])
"""
#: What was measured in this run, one line each.
measured: list[str] = []


def often(full: int, short: int) -> int:
    """How often a promise is tried: so often in full, or only so often in `make test`."""
    return full if FULL else short


def machine_delay() -> float:
    """By how much a bare process that sleeps a millisecond is woken late here and now: p99 (seconds)."""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", _SLEEPER], capture_output=True, text=True, check=True)
    return float(done.stdout)


class Figures:
    """Times of one promise (seconds), held against their bounds."""

    def __init__(self, what: str, delay: float) -> None:
        self._what = what
        self._delay = delay

    def hold(self, times: Sequence[float], **bounds: float) -> None:
        """Each bound by its name: `p50`, `p99`, `max`; in seconds. They are told at the end of the run."""
        assert times
        found = {"p50": statistics.median(times), "p99": sorted(times)[max(0, -(-len(times) * 99 // 100) - 1)], "max": max(times)}
        told = ", ".join(f"{name} {found[name] * 1e3:.1f} ms (at most {bound * 1e3:g})" for name, bound in bounds.items())
        measured.append(f"{self._what}: {told}; {len(times)} times, the machine's own delay {self._delay * 1e3:.1f} ms")
        for name, bound in bounds.items():
            assert found[name] <= bound + self._delay, f"{self._what}: {told}; worst {[round(time, 4) for time in sorted(times)[-5:]]}"
