"""Calls that were sent ahead to busy workers, between the Scheduler, which says who gets which, and the workers, which have their tickets.

A ticket says who may run a call: see `snakepit_bridge.shared.tickets`. What the books say of a call, that it waits or that it runs, may
be behind; whose ticket is taken back has not begun, whatever they say.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from snakepit._workers.worker import Worker
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.payload import at_least

from .bundles import Bundles
from .call import Call
from .decisions import Assignment
from .early import begins_first, taken_off
from .ledger import Ledger
from .scheduler import Scheduler

#: Arguments that are so large (bytes) may come in pieces, which small calls overtake: it is not tried, see `Connection.call_ahead`.
_LARGE = 64 * 1024


class SentAhead:
    """Those of one pool.

    Args:
        workers: the workers of now, by id.
        ledger: the open calls.
        bundles: those that travel together.
        given_up: told of a call that nobody wants any more, and whose ticket is back.
    """

    def __init__(
        self, scheduler: Scheduler, workers: Mapping[str, Worker], ledger: Ledger, bundles: Bundles, given_up: Callable[[Call], None]
    ) -> None:
        self._scheduler = scheduler
        self._workers = workers
        self._ledger = ledger
        self._bundles = bundles
        self._given_up = given_up
        self.pace = bundles.pace

    def seconds(self, call: Call) -> float | None:
        """How short a call is that may be sent ahead; None: it may not.

        Streams have the worker longer than they run, a session's calls have a worker of their own, and what a host tool calls may be waited
        for by the very call behind which it would wait.
        """
        if call.bundle is not None:
            return self._bundles.seconds(call)
        if call.streaming or call.session_id or call.ancestors or call.binary or not call.blocking:
            return None
        seconds = self.pace.short(call.tool)
        return seconds if seconds is not None and at_least(call.args.values()) < _LARGE else None

    def ended(self, call: Call, worker: Worker, event: frames.Result | frames.Failure) -> None:
        """A worker says how a call ended: of one that ended well, how long it took is noted."""
        if not call.worker_id:  # it was sent ahead, and was thought to wait
            call.began, call.worker_id = time.monotonic(), worker.id
        if isinstance(event, frames.Result):
            self.pace.ended(call.tool, event.metadata)

    def spoken_of(self, worker: Worker, call_id: int) -> Call | None:
        """An open call of which a worker speaks; None: it does not run there.

        The end of the one before it may be on its way still: the books are set right.
        """
        call = self._ledger.get(call_id)
        if call is None:
            return self._bundles.spoken_of(worker, call_id)
        begins_first(call, worker, self._scheduler, self._ledger)
        return call if call.worker_id == worker.id else None

    def unsent(self, call: Call, worker: Worker) -> None:
        """One could not be sent there: a bundle to this worker, or a call ahead while something large is on its way, or is it itself."""
        if call.bundle is not None:
            self._bundles.unsent(call)
        else:
            self._back(worker, call)

    def has_begun(self, call: Call) -> bool:
        """Does a call that nobody wants any more run already? If it was sent ahead and does not, it waits for any worker again."""
        if call.ahead_at:
            worker = self._workers.get(call.ahead_at)
            if worker is not None and worker.connection.take_back_one(call.id):
                self._back(worker, call)
            elif not call.worker_id:
                call.began, call.worker_id = time.monotonic(), call.ahead_at
        return bool(call.worker_id)

    def take_all(self, worker: Worker, *, together: bool = True) -> None:
        """Nothing more is to begin there: what was sent ahead waits for any worker again."""
        if worker.id in self._scheduler.seats:  # it has been ready, and has a channel
            self._took(worker, worker.connection.take_back(lambda there: there), together=together)

    def looked(self, worker: Worker, *, held_up: bool) -> list[Assignment]:
        """Where what runs takes long, what was sent ahead waits for any worker again, in its turn, lest younger calls pass it elsewhere.

        Args:
            held_up: none has ended there for a while.
        """
        if not (held_up or self._bundles.is_late(map(self._ledger.get, list(worker.running)))):
            return []
        self._scheduler.held_up(worker.id)
        self.take_all(worker, together=False)
        self._bundles.runs_long(worker)
        return self._scheduler.next_assignments()

    def relieve(self) -> list[Assignment]:
        """Where a worker has nothing to do and calls wait at others: who runs them now."""
        while (laden := self._scheduler.to_relieve()) is not None:
            worker = self._workers.get(laden)
            numbers = worker.connection.take_back(self._oldest) if worker is not None else []
            if worker is None or not numbers:
                self._scheduler.relieved(laden)
                continue
            self._took(worker, numbers, together=True)
            return self._scheduler.next_assignments()
        return []

    def _oldest(self, there: list[int]) -> list[int]:
        """Of what has not begun, the oldest call, or bundle that has not begun either."""
        for number in there:
            found = [number] if self._ledger.get(number) is not None else self._bundles.whole(number, there)
            if found:
                return found
        return []

    def _took(self, worker: Worker, numbers: Iterable[int], *, together: bool) -> None:
        others = []
        for number in numbers:
            call = self._ledger.get(number)
            if call is None:
                others.append(number)
                continue
            self._back(worker, call)
            if call.over:
                self._given_up(call)
        self._bundles.taken_back(worker, others, together=together)

    def _back(self, worker: Worker, call: Call) -> None:
        self._scheduler.take_back([call.id])
        taken_off(worker, call.id)
        call.worker_id = call.ahead_at = ""
