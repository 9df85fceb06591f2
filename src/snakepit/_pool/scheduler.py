"""Who is served next, and by whom. Plain state: `(event) -> assignments`; knows no clock, no process, no loop.

Calls wait in the order they came. The worker that has been idle longest gets the next one; calls of a session go to the worker
that the session is bound to, or prefer it. When as many streams run as are allowed, further streams wait while other calls
pass them. Each decision costs the same whatever the numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import NamedTuple


class Assignment(NamedTuple):
    """This worker is to run this call now. `moved_from`: the worker that its session leaves for that."""

    call_id: int
    worker_id: str
    moved_from: str = ""


class Removal(NamedTuple):
    """What the end of a worker means.

    Attributes:
        orphans: the calls it was running.
        stranded: waiting calls that could run nowhere else; they are no longer in any queue.
        lost_sessions: the sessions that were bound to it.
        assignments: who may run now.
    """

    orphans: list[int]
    stranded: list[int]
    lost_sessions: list[str]
    assignments: list[Assignment]


class QueueIsFull(Exception):
    """No place for another waiting call."""


class SessionBusy(Exception):
    """A call that must not wait would have to. `worker_id`: for whom; empty if its session is bound to none."""

    def __init__(self, worker_id: str) -> None:
        super().__init__(worker_id)
        self.worker_id = worker_id


#: Calls with their turns: a dict as ordered set, oldest first.
_Queue = dict[int, int]


@dataclasses.dataclass(slots=True)
class _Seat:
    """A worker's capacity, what it runs, and what waits for it alone."""

    slots: int
    running: set[int] = dataclasses.field(default_factory=set)
    unary: _Queue = dataclasses.field(default_factory=dict)
    streams: _Queue = dataclasses.field(default_factory=dict)
    sessions: dict[str, None] = dataclasses.field(default_factory=dict)


class _Wish(NamedTuple):
    """What a waiting call of a session wants."""

    session: str
    strict: bool
    streaming: bool


class Scheduler:
    """The queue of one pool and the free slots of its workers.

    Args:
        max_queue: how many calls may wait.
        max_streams: how many streams may run at once; None: as many as there are slots.
    """

    def __init__(self, max_queue: int, max_streams: int | None = None) -> None:
        self._max_queue = max_queue
        self._max_streams = max_streams
        # The mutable state.
        self._seats: dict[str, _Seat] = {}
        self._free: dict[str, None] = {}  # idle longest first
        self._wanted: dict[str, None] = {}  # free workers for which calls wait that no other may take
        self._unary: _Queue = {}
        self._streams: _Queue = {}
        self._running: dict[int, tuple[str, bool]] = {}  # call -> (worker, streaming)
        self._running_streams = 0
        self._turn = 0
        self._turns: _Queue = {}  # of stranded calls, which keep their place
        self._wishes: dict[int, _Wish] = {}  # of waiting and stranded calls of sessions
        self._bound: dict[str, str] = {}  # session -> worker
        self._leaders: dict[str, int] = {}  # session without a worker -> its strict call that will bind it
        self._followers: dict[str, _Queue] = {}  # and those that then want the same worker
        self._elsewhere = 0  # calls that wait for one worker, or for their leader

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._unary) + len(self._streams) + self._elsewhere

    @property
    def running(self) -> int:
        """How many calls run."""
        return len(self._running)

    @property
    def seats(self) -> int:
        """How many workers take calls."""
        return len(self._seats)

    def worker_of(self, call_id: int) -> str | None:
        """Who runs this call, if anybody does."""
        return self._running[call_id][0] if call_id in self._running else None

    # Workers ------------------------------------------------------------------------------------------------------------------

    def add_worker(self, worker_id: str, slots: int) -> list[Assignment]:
        """A worker is ready for `slots` calls at once."""
        if worker_id in self._seats or slots < 1:
            raise ValueError(f"worker {worker_id!r} is known already, or has no slots ({slots})")
        self._seats[worker_id] = _Seat(slots)
        self._free[worker_id] = None
        return self._assign()

    def retire_worker(self, worker_id: str) -> Removal:
        """A worker is about to end: it gets no more calls, and keeps what it runs until it is removed."""
        seat = self._seats.get(worker_id)
        if seat is None:
            return Removal([], [], [], [])
        seat.slots = 0
        self._free.pop(worker_id, None)
        self._wanted.pop(worker_id, None)
        stranded = sorted({**seat.unary, **seat.streams}.items(), key=lambda item: item[1])
        self._elsewhere -= len(stranded)
        self._turns.update(stranded)
        lost = list(seat.sessions)
        for session in lost:
            del self._bound[session]
        seat.unary, seat.streams, seat.sessions = {}, {}, {}
        return Removal([], [call_id for call_id, _ in stranded], lost, [])

    def remove_worker(self, worker_id: str) -> Removal:
        """A worker is gone: what it ran, what waited for it, and who may run now because a stream of its has ended."""
        _, stranded, lost, _ = self.retire_worker(worker_id)
        seat = self._seats.pop(worker_id, None)
        orphans = sorted(seat.running) if seat is not None else []
        for call_id in orphans:
            self._forget(call_id)
        return Removal(orphans, stranded, lost, self._assign())

    # Calls --------------------------------------------------------------------------------------------------------------------

    def submit(self, call_id: int, *, streaming: bool, session: str = "", affinity: str = "hint") -> list[Assignment]:
        """A call has come.

        Args:
            session: the session it belongs to; empty: none.
            affinity: `hint`: rather on the session's worker. `strict_queue`: only there. `strict_fail_fast`: only there, and now.

        Raises:
            QueueIsFull: it would have to wait, and there is no place.
            SessionBusy: it would have to wait, and must not.
        """
        now = affinity == "strict_fail_fast" and bool(session)
        if now:
            bound = self._bound.get(session, "")
            if (bound not in self._free) if bound else (not self._free or session in self._leaders):
                raise SessionBusy(bound)
        self._turn += 1
        if session:
            self._wishes[call_id] = _Wish(session, affinity != "hint", streaming)
            self._place(call_id, self._turn)
        else:
            (self._streams if streaming else self._unary)[call_id] = self._turn
        assignments = self._assign()
        if call_id not in self._running and (now or self.waiting > self._max_queue):
            self.withdraw(call_id)
            if now:  # a limit of streams keeps it from a worker that is free
                raise SessionBusy(self._bound.get(session, ""))
            raise QueueIsFull
        return assignments

    def resubmit(self, call_id: int) -> list[Assignment]:
        """A stranded call goes on elsewhere; it keeps its place in the order, and is never refused."""
        self._place(call_id, self._turns.pop(call_id))
        return self._assign()

    def finish(self, call_id: int) -> list[Assignment]:
        """A call has left its worker; who takes the slot."""
        if call_id not in self._running:
            return []
        worker_id = self._running[call_id][0]
        self._forget(call_id)
        seat = self._seats[worker_id]
        seat.running.discard(call_id)
        if len(seat.running) < seat.slots:
            self._free[worker_id] = None
            if seat.unary or seat.streams:
                self._wanted[worker_id] = None
        return self._assign()

    def withdraw(self, call_id: int) -> bool:
        """A waiting or stranded call is given up. False if it does not wait. Others may run now: `next_assignments`."""
        self._turns.pop(call_id, None)
        wish = self._wishes.pop(call_id, None)
        if self._unary.pop(call_id, None) is not None or self._streams.pop(call_id, None) is not None:
            if wish is not None and self._leaders.get(wish.session) == call_id:
                self._next_leader(wish.session)
            return True
        if wish is None:
            return False
        worker_id = self._bound.get(wish.session)
        followers = self._followers.get(wish.session)
        if worker_id is not None:
            seat = self._seats[worker_id]
            queue = seat.streams if wish.streaming else seat.unary
            self._elsewhere -= queue.pop(call_id, None) is not None
            if not seat.unary and not seat.streams:
                self._wanted.pop(worker_id, None)
        elif followers is not None:
            self._elsewhere -= followers.pop(call_id, None) is not None
            if not followers:
                del self._followers[wish.session]
        return True

    def next_assignments(self) -> list[Assignment]:
        """Who may run now, after calls were withdrawn or a session was unbound."""
        return self._assign()

    # Sessions -----------------------------------------------------------------------------------------------------------------

    def bound_to(self, session: str) -> str:
        """The worker that a session sticks to; empty if none."""
        return self._bound.get(session, "")

    def sessions_of(self, worker_id: str) -> list[str]:
        """The sessions that stick to a worker."""
        seat = self._seats.get(worker_id)
        return list(seat.sessions) if seat is not None else []

    def unbind(self, session: str) -> None:
        """A session is over, or may go elsewhere. Its calls that wait for its worker wait for any; see `next_assignments`."""
        worker_id = self._bound.pop(session, None)
        if worker_id is None:
            return
        seat = self._seats[worker_id]
        del seat.sessions[session]
        for queue in (seat.unary, seat.streams):
            for call_id in [item for item in queue if self._wishes[item].session == session]:
                self._elsewhere -= 1
                self._turns[call_id] = queue.pop(call_id)
                self._place(call_id, self._turns.pop(call_id))
        if not seat.unary and not seat.streams:
            self._wanted.pop(worker_id, None)

    def saturated_by(self, call_ids: Collection[int], *, session: str, affinity: str, streaming: bool) -> bool:
        """Is every slot on which such a call could run taken by one of these calls?"""
        bound = self._bound.get(session) if affinity != "hint" else None
        seats = [self._seats[bound]] if bound else list(self._seats.values())
        if not seats:
            return False
        if streaming and self._max_streams is not None and self._running_streams >= self._max_streams:
            return all(call_id in call_ids for call_id, (_, is_stream) in self._running.items() if is_stream)
        return all(len(seat.running) >= seat.slots and all(item in call_ids for item in seat.running) for seat in seats)

    # Inside -------------------------------------------------------------------------------------------------------------------

    def _place(self, call_id: int, turn: int) -> None:
        """Put a session's call where it has to wait."""
        wish = self._wishes[call_id]
        session, strict, streaming = wish
        bound = self._bound.get(session)
        if strict and bound is not None:
            seat = self._seats[bound]
            self._elsewhere += 1
            _insert(seat.streams if streaming else seat.unary, call_id, turn)
            if bound in self._free:
                self._wanted[bound] = None
            return
        if strict and self._leaders.setdefault(session, call_id) != call_id:
            self._elsewhere += 1
            _insert(self._followers.setdefault(session, {}), call_id, turn)
            return
        _insert(self._streams if streaming else self._unary, call_id, turn)

    def _next_leader(self, session: str) -> None:
        del self._leaders[session]
        followers = self._followers.get(session)
        if followers:
            call_id = next(iter(followers))
            turn = followers.pop(call_id)
            self._elsewhere -= 1
            if not followers:
                del self._followers[session]
            self._place(call_id, turn)

    def _bind(self, session: str, worker_id: str) -> str:
        """Bind a session; where it comes from."""
        before = self._bound.get(session, "")
        if before == worker_id:
            return ""
        self.unbind(session)
        self._bound[session] = worker_id
        self._seats[worker_id].sessions[session] = None
        leader = self._leaders.pop(session, None)
        waiting = self._followers.pop(session, {})
        self._elsewhere -= len(waiting)
        if leader is not None and leader in self._wishes:  # a hint call bound it first: the leader is for this worker too now
            queue = self._streams if self._wishes[leader].streaming else self._unary
            waiting = {leader: queue.pop(leader), **waiting}
        for call_id, turn in waiting.items():
            self._place(call_id, turn)
        return before

    def _forget(self, call_id: int) -> None:
        self._running_streams -= self._running.pop(call_id)[1]

    def _assign(self) -> list[Assignment]:
        made: list[Assignment] = []
        while self._free:
            general = self._head(self._unary, self._streams)
            worker_id, queue = "", general
            if self._wanted:
                worker_id, queue = self._wanted_head(general)
            if queue is None:
                break
            call_id = next(iter(queue))
            del queue[call_id]
            made.append(self._run(call_id, worker_id, streaming=queue is self._streams))
        return made

    def _run(self, call_id: int, worker_id: str, *, streaming: bool) -> Assignment:
        wish = self._wishes.pop(call_id, None)
        moved_from = ""
        if worker_id:  # it waited for this one
            assert wish is not None, "only sessions' calls wait for one worker"
            self._elsewhere -= 1
            streaming = wish.streaming
        else:
            worker_id = self._bound.get(wish.session, "") if wish is not None else ""
            if worker_id not in self._free:
                worker_id = next(iter(self._free))
        seat = self._seats[worker_id]
        seat.running.add(call_id)
        del self._free[worker_id]
        if len(seat.running) < seat.slots:
            self._free[worker_id] = None  # behind the others
        if worker_id not in self._free or not (seat.unary or seat.streams):
            self._wanted.pop(worker_id, None)
        self._running[call_id] = worker_id, streaming
        self._running_streams += streaming
        if wish is not None:
            moved_from = self._bind(wish.session, worker_id)
        return Assignment(call_id, worker_id, moved_from)

    def _wanted_head(self, general: _Queue | None) -> tuple[str, _Queue | None]:
        """What is served next where calls wait for a free worker alone: (that worker, its queue), or ("", the general queue)."""
        found: tuple[int, str, _Queue] | None = None
        for worker_id in self._wanted:  # those that have become free since the last decision: one, as a rule
            seat = self._seats[worker_id]
            queue = self._head(seat.unary, seat.streams)
            if queue is not None and (found is None or next(iter(queue.values())) < found[0]):
                found = next(iter(queue.values())), worker_id, queue
        if found is None:
            return "", general
        if general is not None and len(self._free) == 1 and next(iter(general.values())) < found[0]:
            return "", general
        return found[1], found[2]

    def _head(self, unary: _Queue, streams: _Queue) -> _Queue | None:
        """The queue whose head came first, among those that may be served."""
        if not streams or (self._max_streams is not None and self._running_streams >= self._max_streams):
            return unary or None
        if not unary:
            return streams
        return unary if next(iter(unary.values())) < next(iter(streams.values())) else streams


def _insert(queue: _Queue, call_id: int, turn: int) -> None:
    """Add a call at the place of its turn: at the end, but for calls that have waited elsewhere before."""
    late = bool(queue) and next(reversed(queue.values())) > turn
    queue[call_id] = turn
    if late:
        ordered = sorted(queue.items(), key=lambda item: item[1])
        queue.clear()
        queue.update(ordered)
