"""Calls whose run has failed and that run once more: which, after how long. `RetryPolicy` decides. Lives on the engine's loop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from snakepit.errors import ToolError
from snakepit.retries import RetryPolicy

from .call import Call
from .circuits import Circuits
from .ledger import Ledger


class Reruns:
    """The reruns of one pool.

    Args:
        policy: of calls that have none of their own.
        ledger: the open calls.
        forget: what the first run of a call asked for is of no more use.
        enqueue: give a call to a worker, when there is one.
    """

    def __init__(
        self, policy: RetryPolicy, circuits: Circuits, ledger: Ledger, forget: Callable[[Call], None], enqueue: Callable[[Call], None]
    ) -> None:
        self._policy = policy
        self._circuits = circuits
        self._ledger = ledger
        self._forget = forget
        self._enqueue = enqueue
        self._loop = asyncio.get_running_loop()

    def pause(self, call: Call, error: ToolError | None = None) -> float | None:
        """A run of a call has failed: seconds until it runs once more; None: it does not. `error`: what its tool raised, if it did."""
        if not call.may_run_again() or self._circuits.is_open(call):
            return None
        left = None if call.deadline is None else call.deadline - self._loop.time()
        policy = call.retry or self._policy
        return policy.pause(call.runs, None if error is None else error.type, left, random.random())  # noqa: S311 - no secret

    def begin(self, cause: str, pause: float, call: Call) -> None:
        """It runs once more, after a pause. Its slot is free, its caller knows nothing."""
        self._ledger.counters.retried += 1
        call.retried = {"worker_id": call.worker_id, "cause": cause}
        call.runs += 1
        call.worker_id, call.ahead_at, call.blamed = "", "", False
        self._forget(call)
        self._ledger.renumber(call)
        if pause > 0:
            call.timers.append(self._loop.call_later(pause, self._enqueue, call))
        else:
            self._enqueue(call)
