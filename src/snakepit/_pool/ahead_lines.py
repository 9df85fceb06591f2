"""The calls that are sent ahead to busy workers: how many go where, and whose may be taken back. Plain state, owned by the Scheduler.

A round trip between host and worker takes longer than a short call runs: without any to go on with, a worker waits most of its time.
As many are sent ahead as fit into a few milliseconds, so that whoever comes next does not wait longer than that; long calls are
not, and nothing is sent behind them. What waits at a worker counts as waiting, and can be taken back until it begins.
"""

from __future__ import annotations

from collections.abc import Callable

from .free_workers import FreeWorkers
from .seat import Seat

#: So many calls may wait at one worker.
MOST = 32
#: And as long may they take together, at the pace of the last that goes there (seconds).
TOGETHER_SECONDS = 3e-3
#: None is taken for shorter (seconds): what goes with it takes as long.
_SHORTEST = 3e-5


def depth(seconds: float) -> int:
    """How many calls of that length may wait at one worker."""
    return min(MOST, int(TOGETHER_SECONDS / max(seconds, _SHORTEST)))


class AheadLines:
    """Who has how many calls waiting at it.

    Args:
        is_wanted: does a call wait for this worker alone? Nothing is sent ahead of that.
        seconds_now: how short a call is of which nothing was known when it came.
    """

    def __init__(self, is_wanted: Callable[[str], bool], seconds_now: Callable[[int], float | None] = lambda _call_id: None) -> None:
        self._is_wanted = is_wanted
        self._seconds_now = seconds_now
        self._never: set[int] = set()  # of those calls, those that may not, whatever is known later
        self._seconds: dict[int, float] = {}  # of all calls known to the Scheduler, those that may be sent ahead
        self._sent: dict[int, tuple[str, int]] = {}  # where those are that were, and their turns, until they have ended
        self._waiting = 0  # of those, so many have not begun
        self._open = FreeWorkers()  # who may be sent another, by how many wait there
        self._laden = FreeWorkers()  # from whom some may be taken back

    def __len__(self) -> int:
        return self._waiting

    @property
    def laden(self) -> dict[str, int]:
        """From whom some may be taken back."""
        return self._laden.loads

    @property
    def has_room(self) -> bool:
        """May a call be sent ahead to anybody?"""
        return bool(self._open)

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
            seconds = self._seconds_now(call_id)
            if seconds is not None:
                self._seconds[call_id] = seconds
        return seconds

    def forget(self, call_id: int) -> None:
        """A call has ended, or is given up."""
        self._seconds.pop(call_id, None)
        self._never.discard(call_id)
        self._sent.pop(call_id, None)

    def place_for(self, call_id: int) -> str | None:
        """The worker to which a call may be sent ahead, while `has_room`; None: it has to wait here."""
        seconds = self._short(call_id)
        worker_id = self._open.least_loaded()
        return worker_id if seconds is not None and self._open.load_of(worker_id) < depth(seconds) else None

    def sent(self, call_id: int, turn: int, worker_id: str, seat: Seat) -> None:
        """A call is sent ahead."""
        seat.ahead[call_id] = turn
        seat.bare = False
        self._sent[call_id] = worker_id, turn
        self._waiting += 1
        self.changed(worker_id, seat)

    def next_of(self, seat: Seat) -> int | None:
        """The call that a worker runs next of those that were sent ahead to it: it begins. None: there is none."""
        call_id = next(iter(seat.ahead), None)
        if call_id is not None:
            del seat.ahead[call_id]
            self._waiting -= 1
        return call_id

    def swapped(self, call_id: int, seat: Seat) -> int | None:
        """A call has begun before the one that was thought to run there, and that waits in its place: which; None: there is none such."""
        if seat.ahead.pop(call_id, None) is not None:
            self._waiting -= 1
        other = next((number for number in seat.running if number in self._sent), None)
        if other is not None:
            seat.ahead = {other: self._sent[other][1], **seat.ahead}
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
        if seat.ahead.pop(call_id, None) is not None:
            self._waiting -= 1
        return self._sent.pop(call_id)[1]

    # Workers ------------------------------------------------------------------------------------------------------------------

    def changed(self, worker_id: str, seat: Seat | None) -> None:
        """What a worker runs, or what waits at it, is not what it was."""
        waiting = len(seat.ahead) if seat is not None else 0
        if seat is not None and self._may_take(worker_id, seat):
            self._open.put(worker_id, waiting)
        else:
            self._open.discard(worker_id)
        if seat is not None and waiting and seat.slots and not seat.bare:
            self._laden.put(worker_id, waiting)
        elif self._laden.loads:
            self._laden.discard(worker_id)

    def most_laden(self) -> str | None:
        """From whom a call is taken back first; None: there is nobody."""
        return self._laden.most_loaded() if self._laden else None

    def _may_take(self, worker_id: str, seat: Seat) -> bool:
        if not (seat.pipelined and seat.slots and seat.running and len(seat.ahead) < MOST):
            return False
        return all(call_id in self._seconds for call_id in seat.running) and not self._is_wanted(worker_id)
