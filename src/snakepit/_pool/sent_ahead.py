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
from .decisions import Assignment, How
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

        Streams have the worker longer than they run, and what a host tool calls may be waited for by the very call behind which it would
        wait.
        """
        if call.bundle is not None:
            return self._bundles.seconds(call)
        if call.streaming or call.ancestors or call.binary or not call.blocking:
            return None
        seconds = self.pace.short(call.tool)
        return seconds if seconds is not None and at_least(call.args.values()) < _LARGE else None

    def seconds_now(self, call_id: int) -> float | None:
        """`seconds` of an open call."""
        call = self._ledger.get(call_id)
        return None if call is None else self.seconds(call)

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

    def unsent(self, call: Call, worker: Worker, made: list[Assignment]) -> list[Assignment]:
        """One could not be sent there: a bundle to this worker, or a call ahead while something large is on its way, or is it itself.

        Args:
            made: what was to be given next. What is left of it is the answer: no call is sent ahead there that would pass the first.
        """
        if call.bundle is not None:
            self._bundles.unsent(call)
            return made
        self._back(worker, call)
        left = []
        for item in made:
            other = self._ledger.get(item.call_id) if item.how is How.AHEAD and item.worker_id == worker.id else None
            if other is None or other.bundle is not None:
                left.append(item)
            else:
                self._back(worker, other)
        return left

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

    def take_those(self, calls: Iterable[Call]) -> list[Assignment]:
        """Of these, those that have not begun where they were sent wait here again, in their turn. Who is served now."""
        numbers = {call.id: call.ahead_at for call in calls if call.ahead_at}
        for worker in [self._workers[worker_id] for worker_id in set(numbers.values()) if worker_id in self._workers]:
            self._took(worker, worker.connection.take_back(lambda _there: numbers), together=True)
        return self._scheduler.next_assignments() if numbers else []

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
        """Of what has not begun and other workers may run, the oldest call, or bundle that has not begun either."""
        for number in there:
            call = self._ledger.get(number)
            if call is None and (found := self._bundles.whole(number, there)):
                return found
            if call is not None and not call.session_id:
                return [number]
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
