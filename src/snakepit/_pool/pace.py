"""How long the calls of each tool take, as far as their last ones tell. Pure."""

from __future__ import annotations

#: The slowest of late counts, and fades by this with each that was faster: a tool that is slow at times is slow.
_FADE = 0.8
#: Of fewer calls than this nothing is concluded.
_LEAST = 3
#: What takes longer is not short (seconds).
SHORT_SECONDS = 3e-3


class Pace:
    """The paces of one pool's tools."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def note(self, tool: str, seconds: float) -> None:
        """A call of a tool has taken so long."""
        count, slowest = self._seen.get(tool, (0, 0.0))
        self._seen[tool] = count + 1, max(seconds, slowest * _FADE)

    def short(self, tool: str) -> float | None:
        """How long a call takes, if such calls are short (seconds); None: they are not, or that is not known."""
        count, slowest = self._seen.get(tool, (0, 0.0))
        return slowest if count >= _LEAST and slowest <= SHORT_SECONDS else None
