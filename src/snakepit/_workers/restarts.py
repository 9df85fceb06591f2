"""When to start a worker again, and when to give up. Plain decisions: `(what happened, now) -> seconds to wait, or None`.

Only workers that were of no use count: those that died before they were ready, or soon after without having run a call.
A worker that a call brought down is replaced at once, however often: that is the call's doing, not the pool's.
"""

from __future__ import annotations

import collections
import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class RestartLimits:
    """How patient the pool is.

    Attributes:
        max_restarts: useless starts allowed within `window` before the pool gives up.
        window: seconds.
        first_delay, max_delay: seconds before the second useless start in a row, doubling up to the most.
    """

    max_restarts: int = 5
    window: float = 60.0
    first_delay: float = 0.1
    max_delay: float = 5.0


class RestartPolicy:
    """Counts the useless starts of one pool."""

    def __init__(self, limits: RestartLimits) -> None:
        self._limits = limits
        self._useless: collections.deque[float] = collections.deque()
        self._in_a_row = 0

    def served(self) -> None:
        """A worker has become useful: what was before no longer counts."""
        self._in_a_row = 0
        self._useless.clear()

    def died(self, *, useful: bool, now: float) -> float | None:
        """A worker is gone. Seconds until the next may be started; None: no more.

        Args:
            useful: did it run a call, or live long enough to?
            now: seconds on a clock that never goes back.
        """
        if useful:
            return 0.0
        self._in_a_row += 1
        self._useless.append(now)
        while self._useless and now - self._useless[0] > self._limits.window:
            self._useless.popleft()
        if len(self._useless) > self._limits.max_restarts:
            return None
        return min(self._limits.first_delay * 2.0 ** min(self._in_a_row - 1, 30), self._limits.max_delay)
