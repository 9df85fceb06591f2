"""What a process holds, read from /proc: memory, threads, descriptors; this process's unfinished asyncio tasks; and how busy
others kept the machine.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import time
from pathlib import Path
from typing import NamedTuple

_KIB = 1024


class Memory(NamedTuple):
    """In bytes. `pss` counts pages that several processes share by their part."""

    rss: int
    pss: int


def memory(pid: int) -> Memory:
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
        name, _, rest = line.partition(":")
        fields[name] = int(rest.split()[0]) * _KIB
    return Memory(fields["Rss"], fields["Pss"])


class Holdings(NamedTuple):
    """Numbers of things that a leak would raise."""

    threads: int
    descriptors: int
    tasks: int


def holdings(pid: int) -> Holdings:
    """Of a process; tasks are counted in this one only."""
    gc.collect()
    tasks = 0
    if pid == os.getpid():
        tasks = sum(issubclass(type(item), asyncio.Task) and not item.done() for item in gc.get_objects())
    return Holdings(_entries(pid, "task"), _entries(pid, "fd"), tasks)


class Others:
    """What other programs take of the CPUs from now on, those of this process and its children that have ended left out."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def share(self) -> float:
        """From 0 to 1, of all CPUs."""
        taken = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return max(0.0, taken / ((time.monotonic() - self._began) * (os.cpu_count() or 1)))


def _busy_seconds() -> float:
    user, nice, system, _idle, _iowait, *interrupts_and_steal = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    )
    return (user + nice + system + sum(interrupts_and_steal)) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _entries(pid: int, folder: str) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/{folder}").iterdir())
