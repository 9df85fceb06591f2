"""Who is served next, and by whom. Plain state: `(event) -> assignments`; knows no clock, no process, no loop.

Calls wait in the order they came. The worker that has been idle longest gets the next one. When as many streams run as
are allowed, further streams wait while other calls pass them. Each decision costs the same whatever the numbers.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple


class Assignment(NamedTuple):
    """This worker is to run this call now."""

    call_id: int
    worker_id: str


class QueueIsFull(Exception):
    """No place for another waiting call."""


@dataclasses.dataclass(slots=True)
class _Seat:
    """A worker's capacity and what it runs."""

    slots: int
    running: set[int]


class Scheduler:
    """The queue of one pool and the free slots of its workers.

    Args:
        max_queue: how many calls may wait.
        max_streams: how many streams may run at once; None: as many as there are slots.
    """

    def __init__(self, max_queue: int, max_streams: int | None = None) -> None:
        self._max_queue = max_queue
        self._max_streams = max_streams
        # The mutable state. Dicts as ordered sets: oldest first, removal anywhere in constant time.
        self._seats: dict[str, _Seat] = {}
        self._free: dict[str, None] = {}
        self._waiting_unary: dict[int, int] = {}  # call -> its turn
        self._waiting_streams: dict[int, int] = {}
        self._running: dict[int, tuple[str, bool]] = {}  # call -> (worker, streaming)
        self._streams = 0
        self._turn = 0

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._waiting_unary) + len(self._waiting_streams)

    @property
    def running(self) -> int:
        """How many calls run."""
        return len(self._running)

    def worker_of(self, call_id: int) -> str | None:
        """Who runs this call, if anybody does."""
        return self._running[call_id][0] if call_id in self._running else None

    def add_worker(self, worker_id: str, slots: int) -> list[Assignment]:
        """A worker is ready for `slots` calls at once."""
        if worker_id in self._seats or slots < 1:
            raise ValueError(f"worker {worker_id!r} is known already, or has no slots ({slots})")
        self._seats[worker_id] = _Seat(slots, set())
        self._free[worker_id] = None
        return self._assign()

    def retire_worker(self, worker_id: str) -> None:
        """A worker is about to end: it gets no more calls, and keeps what it runs until it is removed."""
        seat = self._seats.get(worker_id)
        if seat is not None:
            seat.slots = 0
            self._free.pop(worker_id, None)

    def remove_worker(self, worker_id: str) -> tuple[list[int], list[Assignment]]:
        """A worker is gone: the calls it was running, and who may run now because a stream of its has ended."""
        seat = self._seats.pop(worker_id, None)
        self._free.pop(worker_id, None)
        if seat is None:
            return [], []
        orphans = sorted(seat.running)
        for call_id in orphans:
            self._forget(call_id)
        return orphans, self._assign()

    def submit(self, call_id: int, *, streaming: bool) -> list[Assignment]:
        """A call has come.

        Raises:
            QueueIsFull: it would have to wait, and there is no place.
        """
        queue = self._waiting_streams if streaming else self._waiting_unary
        self._turn += 1
        queue[call_id] = self._turn
        assignments = self._assign()
        if call_id in queue and self.waiting > self._max_queue:
            del queue[call_id]
            raise QueueIsFull
        return assignments

    def finish(self, call_id: int) -> list[Assignment]:
        """A call has left its worker; who takes the slot."""
        if call_id not in self._running:
            return []
        worker_id = self._running[call_id][0]
        self._forget(call_id)
        seat = self._seats[worker_id]
        seat.running.discard(call_id)
        if len(seat.running) < seat.slots:
            self._free.setdefault(worker_id)
        return self._assign()

    def withdraw(self, call_id: int) -> bool:
        """Take a waiting call out of the queue; False if it does not wait."""
        taken = self._waiting_unary.pop(call_id, None) or self._waiting_streams.pop(call_id, None)
        return taken is not None

    def _forget(self, call_id: int) -> None:
        _, streaming = self._running.pop(call_id)
        self._streams -= streaming

    def _assign(self) -> list[Assignment]:
        made: list[Assignment] = []
        while self._free and (queue := self._next_queue()) is not None:
            call_id = next(iter(queue))
            del queue[call_id]
            worker_id = next(iter(self._free))
            del self._free[worker_id]
            seat = self._seats[worker_id]
            seat.running.add(call_id)
            if len(seat.running) < seat.slots:
                self._free[worker_id] = None
            streaming = queue is self._waiting_streams
            self._running[call_id] = worker_id, streaming
            self._streams += streaming
            made.append(Assignment(call_id, worker_id))
        return made

    def _next_queue(self) -> dict[int, int] | None:
        """The queue whose head came first, among those that may be served."""
        unary, streams = self._waiting_unary, self._waiting_streams
        if not streams or (self._max_streams is not None and self._streams >= self._max_streams):
            return unary or None
        if not unary:
            return streams
        return unary if next(iter(unary.values())) < next(iter(streams.values())) else streams
