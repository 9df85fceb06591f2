"""How much memory a process has: what is its own, and the pieces of shared memory that it made (Linux).

Its own is the anonymous part of its PSS and its part of mapped files; RSS would count what a forked child shares with its parent for
both. The pages of memory files are left out of that, as PSS shows them only where they are mapped, and in part: a sender writes to them
without a mapping. Each of them is counted once and whole, for the process that made it, which is the one that has it open; a reader has
only mapped it. Memory that is shared without a name counts whole for whoever has mapped it.
"""

from __future__ import annotations

import contextlib
import pathlib

#: Not that in which workers write down how calls have ended, which is always there.
_SEGMENT = "/memfd:snakepit "
_PARTS = ("Pss_Anon:", "Pss_File:")


def own(pid: int) -> int:
    """What it shares with nobody, and its part of the rest but for shared memory (bytes)."""
    facts = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    nameless = [line.split()[0].split("-") for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines() if "/dev/zero" in line]
    kibi = sum(int(line.split()[1]) for line in facts if line.startswith(_PARTS))
    return kibi * 1024 + sum(int(end, 16) - int(begin, 16) for begin, end in nameless)


def segments(pid: int) -> dict[str, int]:
    """The pieces of shared memory that it made: their size in memory (bytes), by name and number."""
    found = {}
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            name, facts = str(fd.readlink()), fd.stat()
        except OSError:  # closed meanwhile
            continue
        if name.startswith(_SEGMENT):
            found[f"{name.split(maxsplit=1)[0]} {facts.st_ino}"] = facts.st_blocks * 512
    return found


def mapped(pid: int) -> int:
    """How much shared memory of others it has mapped (bytes)."""
    return sum(size for _, size in _mappings(pid))


def everywhere() -> set[str]:
    """The pieces of shared memory, by name and number, that any process has open or mapped."""
    found: set[str] = set()
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            found.update(segments(int(folder.name)), (name for name, _ in _mappings(int(folder.name))))
    return found


def _mappings(pid: int) -> list[tuple[str, int]]:
    found = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[5] == _SEGMENT.strip():
            begin, end = fields[0].split("-")
            found.append((f"{fields[5]} {fields[4]}", int(end, 16) - int(begin, 16)))
    return found
