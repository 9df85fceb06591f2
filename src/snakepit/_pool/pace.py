"""How long the calls of each tool take, as far as their last ones tell. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: The slowest of late counts, and fades by this with each that was faster: a tool that is slow at times is slow.
_FADE = 0.8
#: A call's part of the mean of late.
_PART = 1 / 16
#: Of fewer calls than this nothing is concluded.
_LEAST = 3
#: What takes longer is not short (seconds).
SHORT_SECONDS = 3e-3


class Pace:
    """The paces of one pool's tools."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float, float]] = {}  # how many; the slowest of late; the mean

    def note(self, tool: str, seconds: float) -> None:
        """A call of a tool has taken so long."""
        count, slowest, mean = self._seen.get(tool, (0, 0.0, seconds))
        self._seen[tool] = count + 1, max(seconds, slowest * _FADE), mean + (seconds - mean) * _PART

    def ended(self, tool: str, facts: Mapping[str, Any]) -> None:
        """A call of a tool has ended well: what its worker says of that."""
        took = facts.get("execution_time_ms")
        if isinstance(took, int | float):
            self.note(tool, took / 1e3)

    def short(self, tool: str) -> float | None:
        """How long a call takes, if such calls are short (seconds); None: they are not, or that is not known."""
        count, slowest, _ = self._seen.get(tool, (0, 0.0, 0.0))
        return slowest if count >= _LEAST and slowest <= SHORT_SECONDS else None

    def mean(self, tool: str) -> float:
        """How long such calls take on the average (seconds), if it is known that they are short."""
        return self._seen[tool][2]
