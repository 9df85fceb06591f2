"""What a process holds, read from /proc: memory, threads, descriptors; and this process's unfinished asyncio tasks."""

from __future__ import annotations

import asyncio
import gc
import os
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


def _entries(pid: int, folder: str) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/{folder}").iterdir())
