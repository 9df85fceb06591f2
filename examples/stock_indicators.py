"""Indicators that take one price at a time in constant time: moving average, RSI, MACD. Pure; no clock, no feed.

Each has `update(price)`, which gives the new value, or None while too few prices are known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


class SimpleAverage:
    """Mean of the last `length` prices."""

    def __init__(self, length: int) -> None:
        self.length = length
        self._window: deque[float] = deque()
        self._sum = 0.0

    def update(self, price: float) -> float | None:
        """Take a price."""
        self._window.append(price)
        self._sum += price
        if len(self._window) > self.length:
            self._sum -= self._window.popleft()
        return self._sum / self.length if len(self._window) == self.length else None


class ExponentialAverage:
    """Exponential mean with factor 2/(length+1); its first value is the plain mean of the first `length` prices."""

    def __init__(self, length: int) -> None:
        self._factor = 2.0 / (length + 1)
        self._start = SimpleAverage(length)
        self._value: float | None = None

    def update(self, price: float) -> float | None:
        """Take a price."""
        if self._value is None:
            self._value = self._start.update(price)
        else:
            self._value += self._factor * (price - self._value)
        return self._value


class RelativeStrength:
    """Wilder's RSI, 0 to 100: plain means of the first `length` gains and losses, smoothed by 1/length from then on."""

    def __init__(self, length: int = 14) -> None:
        self.length = length
        self._last: float | None = None
        self._changes = 0
        self._gain = self._loss = 0.0

    def update(self, price: float) -> float | None:
        """Take a price."""
        if self._last is not None:
            self._take(price - self._last)
        self._last = price
        if self._changes < self.length:
            return None
        moved = self._gain + self._loss
        return 100.0 * self._gain / moved if moved else 50.0

    def _take(self, change: float) -> None:
        gain, loss = max(change, 0.0), max(-change, 0.0)
        self._changes += 1
        if self._changes <= self.length:  # while starting, these are sums of parts of the mean
            self._gain += gain / self.length
            self._loss += loss / self.length
        else:
            self._gain += (gain - self._gain) / self.length
            self._loss += (loss - self._loss) / self.length


@dataclass(frozen=True, slots=True)
class MacdValue:
    """The three numbers of a MACD; those not known yet are None."""

    macd: float | None = None
    signal: float | None = None
    histogram: float | None = None


class Macd:
    """Difference of a fast and a slow exponential average, and the exponential average of that difference."""

    def __init__(self, fast: int = 12, slow: int = 26, signal: int = 9) -> None:
        self._fast = ExponentialAverage(fast)
        self._slow = ExponentialAverage(slow)
        self._signal = ExponentialAverage(signal)

    def update(self, price: float) -> MacdValue:
        """Take a price."""
        fast, slow = self._fast.update(price), self._slow.update(price)
        if fast is None or slow is None:
            return MacdValue()
        macd = fast - slow
        signal = self._signal.update(macd)
        return MacdValue(macd, signal, None if signal is None else macd - signal)
