"""A timer for an end that something else may have come before: after a time in which this process was not awake, that is read first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

#: A timer that fires later than so much (seconds) was slept through, by a stopped process or a loop that was held up.
_LATE_SECONDS = 0.25
#: What has come meanwhile is read within (seconds).
_READ_SECONDS = 0.1


class Alarm:
    """Calls a function at a moment; if that was slept through, a little later, once.

    Args:
        when: on the loop's clock (seconds).
    """

    __slots__ = ("_args", "_function", "_handle", "_loop", "_when")

    def __init__(self, loop: asyncio.AbstractEventLoop, when: float, function: Callable[..., None], *args: Any) -> None:
        self._loop = loop
        self._when = when
        self._function = function
        self._args = args
        self._handle = loop.call_at(when, self._fire)

    def cancel(self) -> None:
        """Not any more."""
        self._handle.cancel()

    def _fire(self) -> None:
        if self._loop.time() - self._when > _LATE_SECONDS:
            self._handle = self._loop.call_later(_READ_SECONDS, self._function, *self._args)
        else:
            self._function(*self._args)
