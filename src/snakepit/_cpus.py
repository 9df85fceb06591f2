"""How many CPUs there are to use: the default size of a pool."""

from __future__ import annotations

import math
import os
import pathlib


def usable_cpus() -> int:
    """How many CPUs this process may use: its affinity, and its container's quota (cgroup v2 `cpu.max`), at least 1."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        count = os.cpu_count() or 1
    try:
        quota, period = pathlib.Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        if quota != "max":
            count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        pass  # no cgroup v2, or no limit
    return max(1, count)
