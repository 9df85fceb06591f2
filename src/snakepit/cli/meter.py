"""Which chunks tell progress, and how far it is: the numbers behind the command line's bar.

Pure. A `Meter` reads the chunks of one call in order and gives a `Reading` for each that has `progress`, `percent` or
`progress_percent`. What the numbers mean is not fixed by any rule that tools follow, so the meter decides:

- `progress` with `total`: so many of so many, unless the chunk itself says otherwise: a `percent` that contradicts it,
  a `progress` beyond the total, or a `progress` that is the percentage of `step` in `total`;
- `percent` or `progress_percent`: a percentage;
- `progress` alone: a fraction while values between 0 and 1 are all there was, a count once one is beyond 100, else a percentage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .lines import describe

#: Keys whose meaning is the bar itself; a description repeats none of them.
PROGRESS_KEYS = frozenset({"progress", "total", "percent", "progress_percent", "step"})

#: Percentages are often rounded; this far apart (in percent) two of them still mean the same.
_ROUNDING = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a call is.

    Attributes:
        done: units done; a percentage when `percent` is set.
        total: units in all; None: not known.
        percent: are the units hundredths of the whole?
        chunk: where it was read.
    """

    done: float
    total: float | None
    percent: bool
    chunk: Mapping[str, Any]

    @property
    def description(self) -> str:
        """What the chunk says besides; made when asked for, as most chunks of a fast stream are never shown."""
        return describe({key: value for key, value in self.chunk.items() if key not in PROGRESS_KEYS})


class Meter:
    """Reads the progress of one call, chunk after chunk.

    Args:
        lone_is_count: is a `progress` without a total a count? So it is in the reports of a unary tool.
    """

    def __init__(self, lone_is_count: bool = False) -> None:
        self._lone_is_count = lone_is_count
        # What earlier chunks with a lone `progress` have shown about its unit.
        self._fraction_seen = False
        self._largest = 0.0

    def read(self, chunk: Mapping[str, Any]) -> Reading | None:
        """The chunk's progress; None if it tells none."""
        if "error" in chunk:
            return None  # Something went wrong with this item: to be read, not to flit by on a bar.
        done, total, step = (_number(chunk.get(key)) for key in ("progress", "total", "step"))
        percent = _number(chunk.get("percent"))
        if percent is None:
            percent = _number(chunk.get("progress_percent"))
        if done is not None and total is not None and total > 0:
            return self._of_total(done, total, step, percent, chunk)
        if percent is not None:
            return Reading(_clamp(percent), 100.0, True, chunk)
        return None if done is None else self._alone(done, chunk)

    def _of_total(self, done: float, total: float, step: float | None, percent: float | None, chunk: Mapping[str, Any]) -> Reading:
        if step is not None and 0 <= step <= total and abs(done - 100.0 * step / total) < _ROUNDING / 2:
            return Reading(step, total, False, chunk)
        if percent is not None and abs(percent - 100.0 * done / total) > _ROUNDING:
            return Reading(_clamp(percent), 100.0, True, chunk)
        if done > total and done <= 100.0:
            return Reading(done, 100.0, True, chunk)
        return Reading(max(0.0, min(done, total)), total, False, chunk)

    def _alone(self, done: float, chunk: Mapping[str, Any]) -> Reading:
        self._largest = max(self._largest, done)
        self._fraction_seen = self._fraction_seen or 0.0 < done < 1.0
        if self._lone_is_count or self._largest > 100.0:
            return Reading(done, None, False, chunk)
        if self._fraction_seen and self._largest <= 1.0:
            return Reading(_clamp(100.0 * done), 100.0, True, chunk)
        return Reading(_clamp(done), 100.0, True, chunk)


def _clamp(percent: float) -> float:
    return max(0.0, min(percent, 100.0))


def _number(value: Any) -> float | None:
    """A finite number; booleans and text that looks like a number are none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return float(value) if math.isfinite(value) else None
        except OverflowError:
            return None
    return None


def amount_text(done: float, total: float | None, percent: bool) -> str:
    """`3/10`, `30%`, or `1,234` when the total is not known."""
    if percent:
        return f"{done:.0f}%"
    return _digits(done) if total is None else f"{_digits(done)}/{_digits(total)}"


def rate_text(speed: float | None, percent: bool) -> str:
    """Units per second; empty while it is not known."""
    if speed is None or not math.isfinite(speed):
        return ""
    unit = "%/s" if percent else "/s"
    return f"{speed:,.0f}{unit}" if speed >= 100 else f"{speed:.1f}{unit}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
