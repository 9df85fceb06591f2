"""The places of a pool's workers: what is known of one whose workers keep falling, and its waiting. The supervisor's own.

`RestartPolicy` decides; here the decision is told, and waited out.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time

from snakepit.telemetry.logs import library_logger

from .ends import StartFailure

_log = library_logger("snakepit.workers")


@dataclasses.dataclass(frozen=True, slots=True)
class QuarantinedSlot:
    """A place of the pool in which no worker is started for a while, because one after the other was of no use there.

    Attributes:
        slot: its number, from 1 on.
        worker_id: the last worker that was tried.
        cause: why that one was of no use. hint: what mends it.
        until: when the next one is tried (seconds since the epoch), unless `end_quarantine()` says so before.
    """

    slot: int
    worker_id: str
    cause: str
    hint: str
    until: float


class Slot:
    """One place for a worker.

    Attributes:
        number: from 1 on.
        quarantined: set while no worker is started there.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.quarantined: QuarantinedSlot | None = None
        self._wake = asyncio.Event()

    def wake(self) -> bool:
        """End its quarantine now; False if it is in none."""
        self._wake.set()
        return self.quarantined is not None

    async def quarantine(self, worker_id: str, failure: StartFailure | None, seconds: float) -> None:
        """Wait it out, or until somebody ends it."""
        cause = failure.message if failure is not None else f"{worker_id} was of no use"
        hint = (failure.hint if failure is not None else "") or "mend what it names"
        hint += "; pool.end_quarantine() then tries again at once"
        self.quarantined = QuarantinedSlot(self.number, worker_id, cause, hint, time.time() + seconds)
        _log.warning("slot %d is quarantined for %g s, while others serve: %s (%s)", self.number, seconds, cause, hint)
        self._wake.clear()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wake.wait()
        finally:
            self.quarantined = None
