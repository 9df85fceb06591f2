"""Who descends from a process, and what memory they hold, read from /proc. Both sides of a peer use it."""

from __future__ import annotations

import os
from typing import NamedTuple


class Process(NamedTuple):
    """One process; its number may be given to another later, its number and start together are not."""

    pid: int
    began: int

    @property
    def alive(self) -> bool:
        """Whether it still runs; one that has ended and was not reaped does not."""
        fields = _stat(self.pid)
        return fields is not None and int(fields[19]) == self.began and fields[0] not in "ZX"

    @property
    def command(self) -> str:
        try:
            with open(f"/proc/{self.pid}/cmdline", "rb") as file:  # noqa: PTH123 - pathlib would be loaded in each worker
                return f"{self.pid} {file.read().replace(bytes(1), b' ').decode(errors='replace').strip()}"
        except OSError:
            return f"{self.pid} (gone)"


def find(pid: int) -> Process | None:
    fields = _stat(pid)
    return None if fields is None else Process(pid, int(fields[19]))


def family(pid: int) -> list[Process]:
    """All that descend from a process, parents first, itself left out."""
    children: dict[int, list[Process]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - same
        if name.isdigit() and (fields := _stat(int(name))) is not None and fields[0] not in "ZX":
            children.setdefault(int(fields[1]), []).append(Process(int(name), int(fields[19])))
    found: list[Process] = []
    parents = [pid]
    for parent in parents:
        found += children.get(parent, [])
        parents += [child.pid for child in children.get(parent, [])]
    return found


def held(processes: list[Process]) -> float:
    """Their PSS, in MiB: pages that several processes share count by their part."""
    total = 0
    for process in processes:
        try:
            with open(f"/proc/{process.pid}/smaps_rollup", encoding="ascii") as file:  # noqa: PTH123 - same
                total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            continue  # It has ended since.
    return total / 1024


def _stat(pid: int) -> list[str] | None:
    """The fields behind the name, which may hold anything: state, parent, ...; None: there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - same
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None
