"""When to start a worker again, when to leave its slot alone, and when to give up. Plain decisions: `(what happened, now) -> Verdict`.

Only workers that were of no use count: those that died before they were ready, or soon after without having run a call.
A worker that a call brought down is replaced at once, however often: that is the call's doing, not the pool's.
"""

from __future__ import annotations

import collections
import dataclasses
import enum
from typing import NamedTuple

#: The longest quarantine (seconds), unless the window itself is longer.
_LONGEST_QUARANTINE = 3600.0


@dataclasses.dataclass(frozen=True, slots=True)
class RestartLimits:
    """How patient the pool is.

    Attributes:
        max_restarts: useless starts allowed within `window`: of a slot before it is quarantined, or before the pool gives up.
        window: seconds. Also how long a first quarantine takes; each that follows takes twice as long.
        first_delay, max_delay: seconds before the second useless start in a row, doubling up to the most.
    """

    max_restarts: int = 5
    window: float = 60.0
    first_delay: float = 0.1
    max_delay: float = 5.0


class Step(enum.Enum):
    """What is to be done with a slot whose worker is gone."""

    START = "start another one"
    QUARANTINE = "leave the slot alone for a while"
    GIVE_UP = "the pool has no worker, and will get none"


class Verdict(NamedTuple):
    """What to do, and after how many seconds the next worker may be started there."""

    step: Step
    seconds: float


class _Record:
    """The useless starts of one slot."""

    def __init__(self) -> None:
        self.useless: collections.deque[float] = collections.deque()
        self.in_a_row = self.quarantines = 0


class RestartPolicy:
    """Judges the slots of one pool, each by its own record.

    A slot that loops while others serve is quarantined. While nobody serves, no slot is: each goes on, ever more slowly, until none has
    starts left; a pool that has never served has as many as one slot.
    """

    def __init__(self, limits: RestartLimits) -> None:
        self._limits = limits
        self._slots: dict[int, _Record] = {}
        self._served = False

    def begun(self, slot: int) -> None:
        """There is such a slot, of which nobody knows anything yet; or the pool was told that it is mended."""
        self._slots[slot] = _Record()

    def died(self, slot: int, *, useful: bool, now: float, serving: bool, untried: bool) -> Verdict:
        """A slot's worker is gone.

        Args:
            useful: did it run a call, or live long enough to?
            now: seconds on a clock that never goes back.
            serving: do others serve?
            untried: is there a slot whose first worker may yet become ready?
        """
        record = self._slots[slot]
        if useful:
            self._served = True
            self.begun(slot)
            return Verdict(Step.START, 0.0)
        record.in_a_row += 1
        record.useless.append(now)
        over = self._is_over(record, now)
        if serving and over:
            record.quarantines += 1
            return Verdict(Step.QUARANTINE, self._quarantine(record.quarantines))
        hopeless = not serving and self._is_hopeless(now)
        if hopeless and not untried:
            return Verdict(Step.GIVE_UP, 0.0)
        limits = self._limits
        delay = limits.max_delay if over or hopeless else limits.first_delay * 2.0 ** min(record.in_a_row - 1, 30)
        return Verdict(Step.START, min(delay, limits.max_delay))

    def _is_over(self, record: _Record, now: float) -> bool:
        """Has it no starts left? After a quarantine it has one."""
        while record.useless and now - record.useless[0] > self._limits.window:
            record.useless.popleft()
        return record.quarantines > 0 or len(record.useless) > self._limits.max_restarts

    def _is_hopeless(self, now: float) -> bool:
        over = [self._is_over(record, now) for record in self._slots.values()]
        return all(over) if self._served else sum(len(record.useless) for record in self._slots.values()) > self._limits.max_restarts

    def _quarantine(self, times: int) -> float:
        """How long the quarantine of that number takes (seconds)."""
        window = self._limits.window
        return min(window * 2.0 ** min(times - 1, 30), max(window, _LONGEST_QUARANTINE))
