"""What becomes of a cancelled call whose caller has been told: which rung of the ladder ends it, how long that takes.

The worker climbs the first rungs by itself: the flag and the generator's close, the exception. Here are the last ones, which end
the worker; and the outcome, which goes into the error that the caller holds, into the figures and into the log. See
`CallCancelled.rung`. Lives on the engine's loop.
"""

from __future__ import annotations

import asyncio
import logging

from snakepit._workers.ends import Death
from snakepit._workers.worker import Worker
from snakepit.errors import CallCancelled, SnakepitError, WorkerTimeout
from snakepit.telemetry.logs import library_logger

from .alarm import Alarm
from .call import Call
from .stats import Counters

_log = library_logger("snakepit.pool")

#: How long a worker whose adapter ends softly has for that after SIGTERM, before SIGKILL (seconds).
SOFT_END_SECONDS = 2.0


class Ladder:
    """The cancelled calls of one pool.

    Args:
        patience: seconds that a call may take to end in its worker.
    """

    def __init__(self, counters: Counters, patience: float) -> None:
        self._counters = counters
        self._patience = patience
        self._loop = asyncio.get_running_loop()

    def begin(self, call: Call, error: SnakepitError) -> None:
        """A call is cancelled; its caller is about to get the error."""
        if isinstance(error, WorkerTimeout | CallCancelled):
            error.details["rung"] = "pending"
            call.cancelled_by = error
        call.cancelled_at = self._loop.time()

    @staticmethod
    def too_late(call: Call, error: SnakepitError) -> None:
        """A reader gave up waiting for a chunk, and has the error, while the call ended or was being ended already."""
        if "rung" in error.details and error is not call.cancelled_by:
            error.details["rung"] = call.cancelled_by.details["rung"] if call.cancelled_by is not None else "finished"

    def climb(self, call: Call, worker: Worker) -> None:
        """Its worker has been told: it has `patience` seconds."""
        call.timers.append(Alarm(self._loop, self._loop.time() + self._patience, self._end_for, call, worker))

    def ended(self, call: Call, rung: str, *, forced: bool = False) -> None:
        """The call has ended for good, and its slot is free."""
        seconds = self._loop.time() - call.cancelled_at
        self._counters.rungs[rung] = self._counters.rungs.get(rung, 0) + 1
        self._counters.forced += forced
        if call.cancelled_by is not None:
            call.cancelled_by.details["rung"] = rung
        level = logging.WARNING if forced or rung in ("terminate", "kill", "crashed") else logging.INFO
        by_force = ", where it may have held a lock," if forced else ""
        where = f" on {call.worker_id}" if call.worker_id else ""
        facts = {"correlation_id": call.correlation_id, "worker_id": call.worker_id, "rung": rung, "seconds": seconds}
        _log.log(level, "the cancelled call of %r%s ended by %s%s after %.3f s", call.tool, where, rung, by_force, seconds, extra=facts)

    def worker_lost(self, call: Call, death: Death, *, condemned: bool) -> None:
        """Its worker has died while the call was being ended. `condemned`: by this pool."""
        softly = call.worker_asked and death.signal != "SIGKILL"
        self.ended(call, "terminate" if softly else "kill" if condemned else "crashed")

    def _end_for(self, call: Call, worker: Worker) -> None:
        self._counters.killed += 1
        call.worker_asked = worker.says.ends_softly
        how, softly = ("ended", SOFT_END_SECONDS) if worker.says.ends_softly else ("killed", 0.0)
        within = f"did not stop within {self._patience:g} s of being cancelled"
        worker.condemn(f"{how} because {call.tool!r} ({call.correlation_id}) {within}", look=True, softly=softly)
