"""How much memory a process holds, as the kernel tells it."""

from __future__ import annotations

import contextlib
import os

#: How often it is looked up at most (seconds): it is asked after each call.
_SECONDS = 0.25


class MemoryGauge:
    """The resident memory of one process."""

    def __init__(self) -> None:
        self._looked = float("-inf")
        self._held = 0

    def read(self, pid: int | None, now: float) -> int:
        """Bytes, a quarter of a second old at most; 0 where it is not told (elsewhere than on Linux).

        Args:
            now: seconds on any steady clock.
        """
        if now - self._looked >= _SECONDS and pid is not None:
            self._looked = now
            with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - often
                self._held = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return self._held
