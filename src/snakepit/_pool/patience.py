"""How long calls may take, and wait: their deadlines, and the pool's `queue_timeout`. Lives on the engine's loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from snakepit.errors import SnakepitError

from . import failures
from .alarm import Alarm
from .call import Call


class Patience:
    """That of one pool.

    Args:
        wait: seconds that a call may wait for a worker; None: as long as it takes.
        cancel: ends a call: (call, reason, error).
        scattered: the calls that one stands for.
    """

    def __init__(
        self, wait: float | None, cancel: Callable[[Call, str, SnakepitError], None], scattered: Callable[[Call], list[Call]]
    ) -> None:
        self._wait = wait
        self._cancel = cancel
        self._scattered = scattered
        self._loop = asyncio.get_running_loop()

    def bound(self, call: Call) -> None:
        """From here on its deadline, and its time in the queue, are watched; not if it has ended."""
        if call.deadline is not None and not call.over:
            call.timers.append(Alarm(self._loop, call.deadline, self._deadline_passed, call))
        self.bound_wait(call)

    def bound_wait(self, call: Call) -> None:
        """Its time in the queue is, if it is there."""
        if self._wait is not None and not call.worker_id and not call.over:
            waited = time.monotonic() - call.submitted if call.runs == 1 else 0.0
            left = max(0.0, self._wait - waited)
            call.timers.append(self._loop.call_later(left, self._queue_time_passed, call, self._wait, call.runs))

    def _deadline_passed(self, call: Call) -> None:
        for late in self._scattered(call):
            self._cancel(late, "its deadline has passed", failures.deadline_passed(late))

    def _queue_time_passed(self, call: Call, seconds: float, run: int) -> None:
        if not call.worker_id and call.runs == run:
            for late in self._scattered(call):
                self._cancel(late, "it waited too long", failures.queued_too_long(late, seconds))
