"""The calls that are sent ahead to busy workers: how many go where, and whose may be taken back. Plain state, owned by the Scheduler.

A round trip between host and worker takes longer than a short call runs: without any to go on with, a worker waits most of its time.
As many are sent ahead as fit into a few milliseconds, so that whoever comes next does not wait longer than that; long calls are
not, and nothing is sent behind them. What waits at a worker counts as waiting, and can be taken back until it begins.

A session's calls go to its own worker only, in their order, and stay there: from it they are not taken for a worker that is idle. Those
that may run anywhere (`affinity="hint"`) are not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from .free_workers import FreeWorkers
from .seat import Seat
from .waiting import WaitingRoom
from .wanted import Wanted

#: So many calls may wait at one worker.
MOST = 32
#: And as long may they take together, at the pace of the last that goes there (seconds).
TOGETHER_SECONDS = 3e-3
#: None is taken for shorter (seconds): what goes with it takes as long.
_SHORTEST = 3e-5


def depth(seconds: float) -> int:
    """How many calls of that length may wait at one worker."""
    return min(MOST, int(TOGETHER_SECONDS / max(seconds, _SHORTEST)))


class Place(NamedTuple):
    """A call that may be sent ahead to a worker. `line`: that worker, if it waits for it alone; else empty."""

    call_id: int
    turn: int
    worker_id: str
    line: str


class AheadLines:
    """Who has how many calls waiting at it.

    Args:
        room: where calls wait.
        seats: the workers.

    Attributes:
        seconds_now: how short a call is of which nothing was known when it came; None: it may not be sent ahead.
        may_follow: may a session's call go to its worker before the one that runs there has ended?
    """

    def __init__(self, room: WaitingRoom, seats: Mapping[str, Seat]) -> None:
        self._room = room
        self._seats = seats
        self.seconds_now: Callable[[int], float | None] = lambda _call_id: None
        self.may_follow: Callable[[int, str], bool] = lambda _call_id, _worker_id: True
        self._never: set[int] = set()  # of those calls, those that may not, whatever is known later
        self._seconds: dict[int, float] = {}  # of all calls known to the Scheduler, those that may be sent ahead
        self._sent: dict[int, tuple[str, int]] = {}  # where those are that were, and their turns, until they have ended
        self._waiting = 0  # of those, so many have not begun
        self._open = FreeWorkers()  # who may be sent another, by how many wait there; for them alone no call waits
        self._wanted = Wanted()  # who else may be, for whom alone calls of their sessions wait
        self._laden = FreeWorkers()  # from whom some may be taken back

    def __len__(self) -> int:
        return self._waiting

    @property
    def laden(self) -> dict[str, int]:
        """From whom some may be taken back."""
        return self._laden.loads

    # Calls --------------------------------------------------------------------------------------------------------------------

    def know(self, call_id: int, seconds: float | None) -> None:
        """A call has come that may be sent ahead; None: it may not."""
        if seconds is None:
            self._never.add(call_id)
        else:
            self._seconds[call_id] = seconds

    def is_long(self, call_id: int) -> None:
        """A call that runs takes longer than it was thought to, or was taken back: it is not sent ahead again, and nothing behind it."""
        self._seconds.pop(call_id, None)
        self._never.add(call_id)

    def begins(self, call_id: int) -> None:
        """A call is about to run: is it short by what is known now?"""
        self._short(call_id)

    def _short(self, call_id: int) -> float | None:
        seconds = self._seconds.get(call_id)
        if seconds is None and call_id not in self._never:
            seconds = self.seconds_now(call_id)
            if seconds is not None:
                self._seconds[call_id] = seconds
        return seconds

    def forget(self, call_id: int) -> None:
        """A call has ended, or is given up."""
        self._seconds.pop(call_id, None)
        self._never.discard(call_id)
        self._sent.pop(call_id, None)

    def next_place(self, *, streams_too: bool) -> Place | None:
        """Who may be sent ahead now that no worker is free for it: the first in line, as long as it is short; None: nobody.

        No call passes an older one that waits for the same workers: while the first for any worker has to wait, so do younger ones.
        """
        wanted = self._wanted
        while wanted.workers or self._open.loads:
            general = self._room.anybody.first(streams_too=streams_too)
            own = wanted.first(streams_too=streams_too) if wanted.workers else None
            if own is None or (general is not None and general[1] < own[1]):
                worker_id = None if general is None else self._place_for(general[0])
                return None if general is None or worker_id is None else Place(*general, worker_id, "")
            first = self._room.first_for(own[0], streams_too=streams_too)
            if first is not None and self._fits(first[0], own[0]) and self.may_follow(first[0], own[0]):
                return Place(*first, own[0], own[0])
            wanted.changed(own[0], None)  # until something changes there
        return None

    def _place_for(self, call_id: int) -> str | None:
        if self._room.is_of_session(call_id):  # its worker is found when its turn has come
            return None
        # Of those, what waits for one of them alone is younger.
        worker_id = self._open.least_loaded() if self._open.loads else next(iter(self._wanted.workers))
        return worker_id if self._fits(call_id, worker_id) else None

    def _fits(self, call_id: int, worker_id: str) -> bool:
        seconds = self._short(call_id)
        return seconds is not None and len(self._seats[worker_id].ahead) < depth(seconds)

    def sent(self, place: Place, *, own: bool) -> None:
        """A call is sent ahead. `own`: it is of a session of that worker."""
        seat = self._seats[place.worker_id]
        seat.ahead[place.call_id] = place.turn
        if own:
            seat.own.add(place.call_id)
        else:
            seat.bare = False
        self._sent[place.call_id] = place.worker_id, place.turn
        self._waiting += 1
        self.changed(place.worker_id, seat)

    def next_of(self, seat: Seat) -> int | None:
        """The call that a worker runs next of those that were sent ahead to it: it begins. None: there is none."""
        call_id = next(iter(seat.ahead), None)
        if call_id is not None:
            del seat.ahead[call_id]
            seat.own.discard(call_id)
            self._waiting -= 1
        return call_id

    def swapped(self, call_id: int, seat: Seat) -> int | None:
        """A call has begun before the one that was thought to run there, and that waits in its place: which; None: there is none such."""
        self._not_ahead(call_id, seat)
        other = next((number for number in seat.running if number in self._sent), None)
        if other is not None:
            seat.ahead = {other: self._sent[other][1], **seat.ahead}
            if self._room.session_away(other):
                seat.own.add(other)
            self._waiting += 1
        return other

    def where(self, call_id: int) -> str | None:
        """To which worker a call was sent ahead; it may have begun. None: to none."""
        found = self._sent.get(call_id)
        return found[0] if found is not None else None

    def turn_of(self, call_id: int) -> int:
        """The turn of a call that was sent ahead; of one that was given to a worker that had nothing to do, one before all others."""
        return self._sent[call_id][1] if call_id in self._sent else 0

    def taken_back(self, call_id: int, seat: Seat) -> int:
        """A call that was sent ahead has not begun, and does not run there: its turn."""
        self._not_ahead(call_id, seat)
        return self._sent.pop(call_id)[1]

    def _not_ahead(self, call_id: int, seat: Seat) -> None:
        if seat.ahead.pop(call_id, None) is not None:
            seat.own.discard(call_id)
            self._waiting -= 1

    # Workers ------------------------------------------------------------------------------------------------------------------

    def changed(self, worker_id: str, seat: Seat | None) -> None:
        """What a worker runs, what waits at it, or for it alone, is not what it was."""
        line = self._room.line_of(worker_id)
        waiting = len(seat.ahead) if seat is not None else 0
        takes = seat is not None and waiting < MOST and self._takes(seat)
        if takes and line is None:
            self._open.put(worker_id, waiting)
        else:
            self._open.discard(worker_id)
        if line is not None or worker_id in self._wanted.workers:
            self._wanted.changed(worker_id, line if seat is not None and takes and seat.for_sessions else None)
        if seat is not None and waiting > len(seat.own) and seat.slots and not seat.bare:
            self._laden.put(worker_id, waiting - len(seat.own))
        elif self._laden.loads:
            self._laden.discard(worker_id)

    def most_laden(self) -> str | None:
        """From whom a call is taken back first; None: there is nobody."""
        return self._laden.most_loaded() if self._laden else None

    def _takes(self, seat: Seat) -> bool:
        return seat.pipelined and seat.slots > 0 and bool(seat.running) and self._seconds.keys() >= seat.running
