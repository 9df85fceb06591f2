"""What operators see in the log: who was refused and why, and what failed inside. At most one line a second of each kind."""

from __future__ import annotations

import time
from collections.abc import Callable

from snakepit.errors import AccessDenied, GatewayUnavailable, LimitExceeded, SnakepitError
from snakepit.telemetry.logs import library_logger

from .telling import is_inside

_log = library_logger("snakepit.gateway")
_SECONDS = 1.0
_MOST = 500  # characters of what a refusal says; it may quote what the client sent


class _Kind:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._next = 0.0
        self._left_out = 0

    def may(self) -> str | None:
        """How many were left out since the last line, in words; None: this one is left out too."""
        now = self._clock()
        if now < self._next:
            self._left_out += 1
            return None
        self._next, count, self._left_out = now + _SECONDS, self._left_out, 0
        return f" ({count} more were left out)" if count else ""


class Refusals:
    """The log of one gateway.

    Args:
        clock: in seconds; tests give one of their own.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._refused, self._failed = _Kind(clock), _Kind(clock)

    def note(self, who: str, error: BaseException) -> None:
        """A request of a client ended with an error: a refusal, or one that clients are not told.

        Args:
            who: its name or address; never its token.
        """
        if isinstance(error, (AccessDenied, LimitExceeded, GatewayUnavailable)):
            more = self._refused.may()
            if more is not None:
                _log.warning("refused %s: %s%s", who, one_line(error.message), more)
        elif is_inside(error):
            more = self._failed.may()
            if more is not None:
                own = not isinstance(error, SnakepitError)
                _log.error("a request of %s failed: %s%s", who, str(error), more, exc_info=error if own else None)


def one_line(text: str) -> str:
    """Text that cannot forge further lines of a log."""
    return "".join(char if char.isprintable() else "?" for char in text[:_MOST])
