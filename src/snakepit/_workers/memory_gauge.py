"""How much memory a process holds, as the kernel tells it."""

from __future__ import annotations

import contextlib
import os

#: How often it is looked up at most (seconds): it is asked after each call.
_SECONDS = 0.25


class MemoryGauge:
    """The resident memory of one process.

    Args:
        own: only what it shares with nobody: a forked worker has all that its template has read, and it costs nothing.
    """

    def __init__(self, *, own: bool = False) -> None:
        self._own = own
        self._looked = float("-inf")
        self._held = 0

    def read(self, pid: int | None, now: float, shared: int = 0) -> int:
        """Bytes, a quarter of a second old at most; 0 where it is not told (elsewhere than on Linux).

        Args:
            now: seconds on any steady clock.
            shared: so much of it (bytes) may be memory that it shares with the host, which has a bound of its own and is not counted.
        """
        if now - self._looked >= _SECONDS and pid is not None:
            self._looked = now
            with contextlib.suppress(OSError, ValueError, IndexError):
                self._held = _own(pid) if self._own else _resident(pid) - min(shared, _in_shared_memory(pid) if shared else 0)
        return self._held


def _resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - often
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _in_shared_memory(pid: int) -> int:
    with open(f"/proc/{pid}/status", "rb") as file:  # noqa: PTH123 - often
        return next((int(line.split()[1]) * 1024 for line in file if line.startswith(b"RssShmem:")), 0)


_OWN = (b"Private_Clean:", b"Private_Dirty:", b"Private_Hugetlb:")


def _own(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123 - often
        return (
            sum(int(line.split()[1]) for line in file if line.startswith((b"Private_Clean:", b"Private_Dirty:", b"Private_Hugetlb:")))
            * 1024
        )
