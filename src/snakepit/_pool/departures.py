"""Workers that are to take no further call, or that leave: what becomes of them, and of what waits for them alone. On the engine's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from snakepit._workers.worker import Worker
from snakepit.config import PoolConfig

from .call import Call
from .decisions import Assignment
from .ledger import Ledger
from .scheduler import Scheduler
from .sent_ahead import SentAhead
from .sessions.keeper import Keeper


class Departures:
    """Those of one pool.

    Args:
        ahead: calls that were sent to busy workers.
        give: gives calls to workers. refuse: tells a call's caller that it goes to none.
    """

    def __init__(
        self,
        config: PoolConfig,
        scheduler: Scheduler,
        sessions: Keeper,
        ahead: SentAhead,
        ledger: Ledger,
        give: Callable[[Iterable[Assignment]], None],
        refuse: Callable[[Call, Exception], None],
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._sessions = sessions
        self._ahead = ahead
        self._ledger = ledger
        self._give = give
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()

    def retire(self, worker: Worker, reason: str) -> None:
        """A worker is to leave, and another serves in its place: it gets no further call, and leaves when those it runs have ended."""
        worker.retiring = reason
        self.close(worker)
        self.leave_if_idle(worker)
        self._give(self._scheduler.next_assignments())

    def condemned(self, worker: Worker, reason: str) -> None:
        """A worker is about to be killed, with what it runs; what waits for it alone is told or moves on. No reason: it has ended."""
        self.close(worker)
        if reason:
            removal = self._scheduler.retire_worker(worker.id)
            self._sessions.worker_lost(worker.id, removal.lost_sessions, reason)
            self.move(removal.stranded)
        self._give(self._scheduler.next_assignments())

    def close(self, worker: Worker) -> None:
        """No further call begins there."""
        self._scheduler.close_worker(worker.id)
        self._ahead.take_all(worker)

    def taint(self, worker: Worker) -> None:
        """A lock may be held there for good: it gets no further call, and is replaced when those it runs have ended."""
        if not worker.tainted:
            worker.tainted = True
            self._ledger.counters.tainted += 1
            self.close(worker)

    def wear(self, worker: Worker) -> None:
        """Has it done, or grown, as much as a worker may?"""
        config = self._config
        if config.max_calls is not None and worker.calls_served >= config.max_calls:
            worker.wear(f"it had served {worker.calls_served} calls")
        elif config.max_memory is not None and worker.memory(self._loop.time()) > config.max_memory:
            worker.wear(f"it had grown beyond {config.max_memory} bytes of memory")

    def leave_if_idle(self, worker: Worker) -> None:
        """A call has ended there: if it was the last one, and the worker is to leave, it does. One that was sent ahead may have begun."""
        seat = self._scheduler.seats.get(worker.id)
        if worker.running or (seat is not None and (seat.running or seat.ahead)):
            return
        if worker.tainted:
            worker.condemn("a cancelled call was interrupted where it may have held a lock, which nobody would get any more")
        elif worker.retiring:
            removal = self._scheduler.retire_worker(worker.id)
            self._sessions.worker_lost(worker.id, removal.lost_sessions, f"the worker was recycled: {worker.retiring}")
            worker.drain()
            self.move(removal.stranded)

    def move(self, stranded: Iterable[int]) -> None:
        """Calls that waited for a worker that is gone: on with them where their session can go on, else they fail."""
        for call in map(self._ledger.known, list(stranded)):
            if call.affinity == "hint" or self._sessions.is_recoverable(call.session_id):
                self._give(self._scheduler.resubmit(call.id))
            else:
                self._refuse(call, self._sessions.loss_of(call.session_id))
