"""Evidence that the kernel killed a process for lack of memory: its counters, before and after.

They count for a memory cgroup (`memory.events` of version 2, `memory.oom_control` of version 1, from Linux 4.13 on) and for the
machine (`/proc/vmstat`). Another process may have been the victim, so this is a hint; the signal is the fact.
"""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

_VERSION_2 = Path("/sys/fs/cgroup")
_VERSION_1 = Path("/sys/fs/cgroup/memory")
_MACHINE = Path("/proc/vmstat")


@dataclasses.dataclass(frozen=True, slots=True)
class OomCounts:
    """What the counters say at one moment.

    Attributes:
        files: where they are: the cgroup's, the machine's; None: there is none.
        kills: what they say.
    """

    files: tuple[Path | None, Path | None]
    kills: tuple[int, int]

    def evidence(self) -> str:
        """What has been killed since, and is not known to have been another one; empty if nothing. What is told is known from then on."""
        group, machine = (_unexplained(file, before) for file, before in zip(self.files, self.kills, strict=True))
        if group > 0:
            return "out of memory: the kernel killed it, or another process of its memory cgroup, at the cgroup's limit"
        if machine > 0:
            return "out of memory: the kernel killed it, or another process, because the machine had none left"
        return ""


def oom_counts(pid: int | str = "self") -> OomCounts:
    """The counters of the cgroup that a process is in now, and of the machine."""
    files = _counter_of(pid), _MACHINE
    return OomCounts(files, (_kills(files[0]), _kills(files[1])))


#: Of each counter, up to where its kills have been told to somebody: one kill is the end of one process.
_explained: dict[Path, int] = {}


def _unexplained(file: Path | None, before: int) -> int:
    if file is None:
        return 0
    known = max(before, _explained.get(file, 0))
    more = _kills(file) - known
    if more > 0:
        _explained[file] = known + 1
    return more


def _counter_of(pid: int | str) -> Path | None:
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return _existing(_VERSION_1, path, "memory.oom_control")
    path = next((line[3:] for line in lines if line.startswith("0::")), "")
    return _existing(_VERSION_2, path, "memory.events")


def _existing(root: Path, path: str, name: str) -> Path | None:
    """In a container the path may be that of another namespace, whose root is what is mounted here."""
    return next((file for file in (root / path.lstrip("/") / name, root / name) if file.is_file()), None)


def _kills(file: Path | None) -> int:
    if file is not None:
        with contextlib.suppress(OSError, ValueError):
            for line in file.read_text(encoding="ascii").splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0
