"""Circuit breakers: `Circuit` decides, `(what happened, now) -> decision`; `Circuits` has one per tool or pool, for the dispatcher.

Libraries wrap a function and count in its frame. Here calls begin and end as events, many at once, and a clock that tests turn
tells the time.
"""

from __future__ import annotations

import collections
import math
import time
from collections.abc import Callable
from typing import Literal

from snakepit._setting_checks import is_named
from snakepit.circuit_breaker import CircuitBreaker, CircuitInfo
from snakepit.errors import ChannelError, CircuitOpen, ToolError, WorkerCrashed, WorkerTimeout
from snakepit.telemetry.logs import library_logger

from . import failures
from .call import Call, Ended, Failed

_log = library_logger("snakepit.pool")


class Circuit:
    """One circuit. Pure: the caller tells it the time, in seconds on a clock that never goes back.

    What a call shows is how the tool was when the call began: calls that had begun before the circuit opened say nothing of what
    is now, while any that began later closes it by ending well, however many have been let through since.

    Attributes:
        cause: of the last failure. refused: how many calls it has refused.
        until: until when calls are refused; None: it is closed. Past: the next call is let through, to see.
    """

    def __init__(self, settings: CircuitBreaker) -> None:
        self._settings = settings
        self._failures: collections.deque[float] = collections.deque(maxlen=settings.failures)
        self._probe: int | None = None  # the call that was let through last
        self._since = -math.inf  # calls that began before say nothing: when it opened, or the last that failed later began
        self.cause = ""
        self.refused = 0
        self.until: float | None = None

    def state(self, now: float) -> Literal["closed", "open", "half_open"]:
        """How it stands."""
        return "closed" if self.until is None else "open" if now < self.until and self._probe is None else "half_open"

    def count(self, now: float) -> int:
        """Failures within the window; of one that is not closed, those that opened it."""
        if self.until is None:
            while self._failures and now - self._failures[0] > self._settings.window:
                self._failures.popleft()
        return len(self._failures)

    def admit(self, call_id: int, now: float) -> bool:
        """May a call run? The first after the recovery may; while that runs no other, but for as long as a recovery takes."""
        if self.until is None:
            return True
        if now < self.until:
            self.refused += 1
            return False
        self._probe, self.until = call_id, now + self._settings.recovery
        return True

    def failed(self, cause: str, began: float, now: float) -> bool:
        """A call that began then has failed. Is the circuit open by that, where it was not?"""
        if began < self._since:
            return False
        self.cause = cause
        if self.until is not None:
            self._since = began
            if self._probe is None and now < self.until:
                return False  # it waited in the queue when the circuit opened
        self.count(now)
        self._failures.append(now)
        if self.until is None:
            if len(self._failures) < self._settings.failures:
                return False
            self._since = now
        self._probe, self.until = None, now + self._settings.recovery
        return True

    def succeeded(self, began: float) -> bool:
        """A call that began then has ended well. Is the circuit closed by that?"""
        if self.until is None or began < self._since:
            return False
        self._probe = self.until = None
        self._failures.clear()
        return True

    def left(self, call_id: int, now: float) -> None:
        """A call ended in a way that says nothing. If it was to show something, another one will."""
        if call_id == self._probe:
            self._probe, self.until = None, now


class Circuits:
    """The circuits of one pool.

    Args:
        settings: None: there are none.
        clock: seconds, on the clock of `Call.began`.
    """

    def __init__(self, settings: CircuitBreaker | None, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._circuits: dict[str, Circuit] = {}

    def admit(self, call: Call) -> CircuitOpen | None:
        """Why a call is refused, which is then counted; None: it is let through."""
        circuit, now = self._of(call), self._clock()
        if circuit is None or circuit.admit(call.id, now):
            return None
        seconds = max(0.0, (circuit.until or now) - now)
        return failures.circuit_open(call, self._key(call), circuit.count(now), seconds, circuit.state(now) == "half_open", circuit.cause)

    def is_open(self, call: Call) -> bool:
        """Would a further call like this be refused?"""
        circuit = self._of(call)
        return circuit is not None and circuit.state(self._clock()) != "closed"

    def failed(self, call: Call, cause: str) -> None:
        """A run of a call failed, and the tool may be to blame. Counted once for each run."""
        circuit = None if call.blamed else self._of(call)
        if circuit is not None:
            call.blamed = True
            if circuit.failed(cause, call.began, self._clock()) and self._settings is not None:
                recovery = self._settings.recovery
                _log.warning(
                    "%s is refused for %g s after %d failed calls, the last: %s", self._named(call), recovery, circuit.count(0.0), cause
                )

    def ended(self, call: Call, item: Ended | Failed) -> None:
        """A call's caller has been told its end."""
        circuit = self._of(call)
        if circuit is None:
            return
        verdict = self._verdict(call, item)
        if verdict is None:
            circuit.left(call.id, self._clock())
        elif verdict:
            self.failed(call, verdict)
        elif circuit.succeeded(call.began):
            _log.info("%s is well again", self._named(call))

    def infos(self) -> tuple[CircuitInfo, ...]:
        """All circuits, by tool."""
        now = self._clock()
        return tuple(
            CircuitInfo(key, item.state(now), item.count(now), item.refused, item.cause, _epoch(item.until, now))
            for key, item in sorted(self._circuits.items())
        )

    def _verdict(self, call: Call, item: Ended | Failed) -> str | None:
        """The cause, if an end speaks against the tool; empty if it speaks for it; None: neither."""
        if isinstance(item, Ended):
            return ""
        error = item.error
        if isinstance(error, WorkerCrashed | ChannelError) or (isinstance(error, WorkerTimeout) and call.worker_id):
            return error.message.partition("\n")[0]
        if isinstance(error, ToolError) and self._settings is not None:
            counted = self._settings.tool_errors
            counts = counted if isinstance(counted, bool) else is_named(error.type, counted)
            return error.message.partition("\n")[0] if counts else ""
        return None

    def _key(self, call: Call) -> str:
        return call.tool if self._settings is not None and self._settings.scope == "tool" else ""

    def _named(self, call: Call) -> str:
        return repr(self._key(call)) if self._key(call) else "every tool"

    def _of(self, call: Call) -> Circuit | None:
        if self._settings is None:
            return None
        key = self._key(call)
        if key not in self._circuits:
            self._circuits[key] = Circuit(self._settings)
        return self._circuits[key]


def _epoch(until: float | None, now: float) -> float:
    return time.time() + until - now if until is not None and until > now else 0.0
