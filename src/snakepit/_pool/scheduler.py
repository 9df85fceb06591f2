"""Who is served next, and by whom. Plain state: `(event) -> assignments`; knows no clock, no process, no loop.

Calls wait, in the WaitingRoom, in the order they came. The least loaded worker gets the next one, of several the one that has been
so longest; calls of a session go to the worker that the session is bound to, or prefer it. When as many streams run as are allowed,
further streams wait while other calls pass them. A call that blocks its worker's main thread has the worker to itself, as far as
later calls go. Short calls are sent ahead to busy workers, those of sessions to their own, see `AheadLines`: they wait as all others do
until they begin. Each decision costs the same whatever the numbers, but where one session mixes strict calls with others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from .ahead_lines import AheadLines
from .decisions import Assignment, How, QueueIsFull, Removal, SessionBusy
from .free_workers import FreeWorkers
from .seat import Running, Seat
from .waiting import WaitingRoom
from .wanted import Wanted


class Scheduler:
    """The queue of one pool and the free slots of its workers.

    Args:
        max_queue: how many calls may wait.
        max_streams: how many streams may run at once; None: as many as there are slots.

    Attributes:
        beside: how many more calls wait than are known here, since one stands for several.
    """

    def __init__(self, max_queue: int, max_streams: int | None = None) -> None:
        self._max_queue = max_queue
        self._max_streams = max_streams
        self.beside: Callable[[], int] = int
        self._room = WaitingRoom(self._line_changed)
        self._seats: dict[str, Seat] = {}  # from here on: the mutable state
        self._free = FreeWorkers()
        self._ahead = AheadLines(self._room, self._seats)
        self._wanted = Wanted()
        self._running: dict[int, Running] = {}
        self._running_streams = 0
        self._begun: list[Assignment] = []  # not told yet: they were sent ahead, and are run
        self._blocking: set[int] = set()  # of all calls known here, those that block a main thread

    def ask(self, seconds_now: Callable[[int], float | None], may_follow: Callable[[int, str], bool]) -> None:
        """Whom to ask for what is not known here: see `AheadLines`."""
        self._ahead.seconds_now, self._ahead.may_follow = seconds_now, may_follow

    @property
    def waiting(self) -> int:
        """How many calls wait."""
        return len(self._room) + len(self._ahead) + self.beside()

    @property
    def running(self) -> int:
        """How many calls run."""
        return len(self._running)

    @property
    def seats(self) -> Mapping[str, Seat]:
        """The workers that take calls, for looking at."""
        return self._seats

    @property
    def streams_at_limit(self) -> list[int] | None:
        """The streams that run, when no further one may; else None."""
        return None if self._streams_may_run else [call_id for call_id, run in self._running.items() if run.streaming]

    @property
    def is_any_free(self) -> bool:
        """Could a call begin at once that any worker may run?"""
        return bool(self._free.loads)

    def worker_of(self, call_id: int) -> str | None:
        """Who runs this call, if anybody does."""
        return self._running[call_id].worker_id if call_id in self._running else None

    # Workers ------------------------------------------------------------------------------------------------------------------

    def add_worker(self, worker_id: str, slots: int, *, threaded: bool = False) -> list[Assignment]:
        """A worker is ready for `slots` calls at once; `threaded`: also for blocking ones."""
        if worker_id in self._seats or slots < 1:
            raise ValueError(f"worker {worker_id!r} is known already, or has no slots ({slots})")
        self._seats[worker_id] = Seat(slots, threaded)
        self._free.put(worker_id, 0)
        return self._assign()

    def close_worker(self, worker_id: str) -> None:
        """A worker is to take no further call. What runs goes on; its sessions, and what waits for it alone, stay until it retires."""
        seat = self._seats.get(worker_id)
        if seat is not None:
            seat.slots = 0
            self._free.discard(worker_id)
            self._line_changed(worker_id)

    def let_ahead(self, worker_id: str, *, for_sessions: bool = False) -> list[Assignment]:
        """Calls may be sent ahead to a worker from now on, if it runs one at a time. `for_sessions`: those of its sessions, too."""
        seat = self._seats.get(worker_id)
        if seat is not None and seat.slots == 1 and not seat.threaded:
            seat.pipelined, seat.for_sessions = True, for_sessions
            self._ahead.changed(worker_id, seat)
        return self._assign()

    def retire_worker(self, worker_id: str) -> Removal:
        """A worker is about to end: it gets no more calls, and keeps what it runs until it is removed."""
        if worker_id not in self._seats:
            return Removal([], [], [], [])
        self.close_worker(worker_id)
        stranded, lost = self._room.strand(worker_id)
        return Removal([], stranded, lost, [])

    def remove_worker(self, worker_id: str) -> Removal:
        """A worker is gone: what it ran, what waited for it, and who may run now because a stream of its has ended."""
        _, stranded, lost, _ = self.retire_worker(worker_id)
        seat = self._seats.pop(worker_id, None)
        orphans = sorted(seat.running) if seat is not None else []
        for call_id in orphans:
            self._forget(call_id)
        while seat is not None and (begun := self._ahead.next_of(seat)) is not None:
            orphans.append(begun)
            self._ended(begun)
        self._ahead.changed(worker_id, None)
        return Removal(orphans, stranded, lost, self._assign())

    # Calls --------------------------------------------------------------------------------------------------------------------

    def submit(
        self,
        call_id: int,
        *,
        streaming: bool,
        session: str = "",
        affinity: str = "hint",
        blocking: bool = False,
        seconds: float | None = None,
    ) -> list[Assignment]:
        """A call has come.

        Args:
            session: the session it belongs to; empty: none.
            affinity: `hint`: rather on the session's worker. `strict_queue`: only there. `strict_fail_fast`: only there, and now.
            blocking: it blocks the thread that runs it.
            seconds: such calls are as short as that, and it may be sent ahead; None: it may not.

        Raises:
            QueueIsFull: it would have to wait, and there is no place.
            SessionBusy: it would have to wait, and must not.
        """
        now = affinity == "strict_fail_fast" and bool(session)
        bound = self._room.bound_to(session) if now else ""
        if now and ((bound not in self._free) if bound else (not self._free or self._room.is_led(session))):
            raise SessionBusy(bound, self._assign())
        if blocking:
            self._blocking.add(call_id)
        anywhere = bool(session) and affinity == "hint"  # rather on the session's worker: where it runs is decided when its turn has come
        if seconds is not None or anywhere:
            self._ahead.know(call_id, None if anywhere else seconds)
        if not (session or streaming) and self._free.loads and self._nobody_waits():  # as nearly always, in a pool that is not full
            worker_id = self._free.least_loaded()
            self._occupy(call_id, worker_id)
            return [Assignment(call_id, worker_id)]
        self._room.enter(call_id, streaming=streaming, session=session, strict=affinity != "hint")
        assignments = self._assign_free()
        if call_id not in self._running and (now or self.waiting > self._max_queue):
            self.withdraw(call_id)
            assignments += self._assign()  # a call that waited behind this one may be first now
            if now:  # a limit of streams keeps it from a worker that is free
                raise SessionBusy(self._room.bound_to(session), assignments)
            raise QueueIsFull(assignments)
        return self._send_ahead(assignments)

    def resubmit(self, call_id: int) -> list[Assignment]:
        """A stranded call goes on elsewhere; it keeps its place in the order, and is never refused."""
        self._room.enter_again(call_id)
        return self._assign()

    def finish(self, call_id: int) -> list[Assignment]:
        """A call has left its worker; who takes the slot."""
        self._left(call_id)
        return [] if self._nobody_waits() else self._assign()

    def gone(self, call_id: int) -> None:
        """`finish`, or `withdraw` for one that waits. Who may run now: `next_assignments`."""
        if not self._left(call_id):
            self.withdraw(call_id)

    def split(self, call_id: int, other: int, seconds: float | None) -> None:
        """A part of a call that a worker has, has not begun: it waits for any, as another one, in the turn of the first."""
        if call_id in self._blocking:
            self._blocking.add(other)
        self._ahead.know(other, seconds)
        self._room.anybody.put(other, self._ahead.turn_of(call_id), streaming=False)

    def take_back(self, call_ids: Iterable[int]) -> None:
        """Calls that were sent ahead do not run there: they wait for any worker, in their turn. Who may run now: `next_assignments`.

        They are not sent ahead again: word of what was taken back, and a second ticket of the same call, would pass each other.
        """
        for call_id in call_ids:
            worker_id = self._ahead.where(call_id)
            if worker_id is None:
                continue
            seat, begun = self._seats[worker_id], self._running.pop(call_id, None) is not None  # as was thought
            self._room.taken_back(call_id, self._ahead.taken_back(call_id, seat))
            self._ahead.is_long(call_id)
            if begun:
                self._released(call_id, worker_id)
            self._ahead.changed(worker_id, seat)

    def began_first(self, call_id: int) -> int | None:
        """A call runs that was thought to wait at its worker behind another one: that one, which waits there; None: it has ended."""
        worker_id = self._ahead.where(call_id)
        seat = self._seats.get(worker_id or "")
        if worker_id is None or seat is None:
            return None
        other = self._ahead.swapped(call_id, seat)
        if other is not None:
            seat.release(other)
            del self._running[other]
        self._begins_there(call_id, worker_id, seat)
        self._ahead.changed(worker_id, seat)
        return other

    def to_relieve(self) -> str | None:
        """A worker to which calls were sent ahead while another one has nothing to do; None: there is none."""
        if not (self._ahead.laden and self._free.loads) or self._room.anybody.first(streams_too=self._streams_may_run) is not None:
            return None
        return self._ahead.most_laden()

    def held_up(self, worker_id: str) -> None:
        """What a worker runs takes longer than it was thought to: nothing more is sent ahead to it until that has ended."""
        seat = self._seats.get(worker_id)
        if seat is not None:
            for call_id in seat.running:
                self._ahead.is_long(call_id)
            self._ahead.changed(worker_id, seat)

    def relieved(self, worker_id: str) -> None:
        """None of the calls that were sent ahead there can be taken back."""
        seat = self._seats[worker_id]
        seat.bare = True
        self._ahead.changed(worker_id, seat)

    def withdraw(self, call_id: int) -> bool:
        """A waiting or stranded call is given up. False if it does not wait here. Others may run now: `next_assignments`."""
        if self._ahead.where(call_id) is not None:
            return False
        self._blocking.discard(call_id)
        self._ahead.forget(call_id)
        return self._room.leave(call_id)

    def next_assignments(self) -> list[Assignment]:
        """Who may run now, after calls were withdrawn or a session was unbound."""
        return self._assign()

    # Sessions -----------------------------------------------------------------------------------------------------------------

    def bound_to(self, session: str) -> str:
        """The worker that a session sticks to; empty if none."""
        return self._room.bound_to(session)

    def unbind(self, session: str) -> None:
        """A session is over, or may go elsewhere. Its calls that wait for its worker wait for any; see `next_assignments`."""
        self._room.unbind(session)

    def only_worker_for(self, session: str, affinity: str) -> str:
        """The worker for which a call of this session must wait; empty: it may run on any."""
        strict = bool(session) and (affinity != "hint" or self._room.is_strict(session))
        return self._room.bound_to(session) if strict else ""

    # Inside -------------------------------------------------------------------------------------------------------------------

    def _nobody_waits(self) -> bool:
        """Does no call wait for any worker, or for one that is free, and is none to be told that it has begun?"""
        return not (self._room.anybody or self._wanted.workers or self._begun)

    def _occupy(self, call_id: int, worker_id: str, *, streaming: bool = False, strict: str = "") -> None:
        """A call runs on a worker that was free."""
        seat = self._seats[worker_id]
        seat.take(call_id, blocking=call_id in self._blocking)
        self._ahead.begins(call_id)
        if seat.is_full:
            self._free.discard(worker_id)
            self._ahead.changed(worker_id, seat)
        else:
            self._free.put(worker_id, len(seat.running))
        self._running[call_id] = Running(worker_id, streaming, strict)

    @property
    def _streams_may_run(self) -> bool:
        return self._max_streams is None or self._running_streams < self._max_streams

    def _line_changed(self, worker_id: str) -> None:
        self._want(worker_id)
        self._ahead.changed(worker_id, self._seats.get(worker_id))

    def _want(self, worker_id: str) -> None:
        """A worker has become free, or is not any more; or what waits for it alone is not what it was."""
        line = self._room.line_of(worker_id)
        if line is not None or worker_id in self._wanted.workers:
            self._wanted.changed(worker_id, line if worker_id in self._free else None)

    def _ended_early(self, call_id: int) -> bool:
        """Has a call ended that was thought to wait at its worker, behind another one?"""
        worker_id = self._ahead.where(call_id)
        if worker_id is None:
            return False
        seat = self._seats[worker_id]
        self._ahead.taken_back(call_id, seat)
        self._ended(call_id)
        self._ahead.changed(worker_id, seat)
        return True

    def _left(self, call_id: int) -> bool:
        if call_id in self._running:
            self._released(call_id, self._forget(call_id))
            return True
        return self._ended_early(call_id)

    def _released(self, call_id: int, worker_id: str) -> None:
        """A call has left its worker, which goes on with what was sent ahead to it, or has a free slot."""
        if self._begun:  # nobody is to be told any more that it has begun
            self._begun = [made for made in self._begun if made.call_id != call_id]
        seat = self._seats[worker_id]
        seat.release(call_id)
        following = None if seat.running else self._ahead.next_of(seat)
        if following is not None:
            self._begins_there(following, worker_id, seat)
            self._begun.append(Assignment(following, worker_id, how=How.NEXT))
        elif not seat.is_full:
            self._free.put(worker_id, len(seat.running))
            if self._room.waits_for(worker_id):
                self._want(worker_id)
        self._ahead.changed(worker_id, seat)

    def _begins_there(self, call_id: int, worker_id: str, seat: Seat) -> None:
        """A call runs that was sent ahead."""
        seat.take(call_id, blocking=call_id in self._blocking)
        self._running[call_id] = Running(worker_id, streaming=False, strict=self._room.session_away(call_id))

    def _forget(self, call_id: int) -> str:
        """A call that ran has ended: who ran it."""
        run = self._running.pop(call_id)
        self._running_streams -= run.streaming
        self._ended(call_id, run.strict)
        return run.worker_id

    def _ended(self, call_id: int, strict: str = "") -> None:
        """Nothing more is to be known of a call. `strict`: the session that it kept from moving, if that is known already."""
        strict = self._room.ended_there(call_id) or strict
        self._ahead.forget(call_id)
        self._blocking.discard(call_id)
        if strict:
            self._room.strict_ended(strict)

    def _assign(self) -> list[Assignment]:
        return self._send_ahead(self._assign_free())

    def _send_ahead(self, made: list[Assignment]) -> list[Assignment]:
        """To `made`, those that go to workers which are busy with short calls."""
        while (place := self._ahead.next_place(streams_too=self._streams_may_run)) is not None:
            self._ahead.sent(place, own=self._room.send_ahead(place.call_id, place.line))
            made.append(Assignment(place.call_id, place.worker_id, how=How.AHEAD))
        return made

    def _assign_free(self) -> list[Assignment]:
        made, self._begun = self._begun, []
        while self._free:
            streams_too = self._streams_may_run
            first = self._room.anybody.first(streams_too=streams_too)
            if first is not None and self._room.pin(first[0]):
                continue
            worker_id, served = self._wanted_first(first, streams_too=streams_too) if self._wanted.workers else ("", first)
            if served is None:
                break
            made.append(self._run(served[0], worker_id))
        return made

    def _wanted_first(self, general: tuple[int, int] | None, *, streams_too: bool) -> tuple[str, tuple[int, int] | None]:
        """What is served next where calls wait for a free worker alone: (that worker, its call), or ("", the general one)."""
        found = self._wanted.first(streams_too=streams_too)
        if found is None or (general is not None and len(self._free) == 1 and general[1] < found[1]):
            return "", general
        return found[0], self._room.first_for(found[0], streams_too=streams_too)

    def _run(self, call_id: int, worker_id: str) -> Assignment:
        """Give a call to the worker in whose line it waited; where that is empty, to its session's own or the one idle longest."""
        wish, streaming = self._room.take(call_id, worker_id)
        if not worker_id:
            worker_id = self._room.bound_to(wish.session) if wish is not None else ""
            if worker_id not in self._free:
                worker_id = self._free.least_loaded()
        self._occupy(call_id, worker_id, streaming=streaming, strict=wish.session if wish is not None and wish.strict else "")
        self._running_streams += streaming
        moved_from = self._room.bind(wish.session, worker_id) if wish is not None else ""
        if wish is not None or self._wanted.workers:
            self._want(worker_id)
        return Assignment(call_id, worker_id, moved_from)
