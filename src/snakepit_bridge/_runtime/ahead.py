"""The calls that were sent ahead to this worker: received, and not begun. Which runs next, its ticket says; see `shared.tickets`.

The main thread takes a turn for each call that has come. Turns are counted, so that none is left over when the host has had a call run
elsewhere: with that, a later call would overtake one that was sent without a ticket. In a turn in which nothing can be run, since the
oldest ticket is of a call that is still on its way, or there is none, it is missed, and taken again when something has changed.

A ticket that has been taken is never put back, where it would lie behind others: its call has begun. One that is still on its way is waited
for, and nothing else is begun meanwhile: so calls run in the order in which the host has put their tickets there.
"""

import threading
from typing import Any, Dict, List, Optional, Tuple, Union

from ..shared.tickets import Tickets
from ..wire.frames import Call, Calls
from .running import RunningCall


class Together:
    """Calls that have come in one frame: made when their turn comes."""

    def __init__(self, event: Calls) -> None:
        self._event = event
        self._args = dict(zip(event.numbers, event.args))
        self._last = event.numbers[-1] if event.numbers else 0

    def call(self, number: int) -> Call:
        """One of them, once. Its option `together`: others follow at once."""
        options = self._event.options
        cid = "%s-%d" % (options.get("cid", ""), number)
        return Call(number, self._event.tool, self._args.pop(number), {**options, "cid": cid, "together": number != self._last})


class Ahead:
    """Those of one worker. The thread that reads the channel adds and removes, the main thread takes.

    Whoever calls posts as many turns to the main thread as is said.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: Dict[int, Union[RunningCall, Together]] = {}
        # Turns that are posted, and these that were missed, are as many as the calls that are here, and these that are void.
        self._missed = 0
        self._void = 0
        self._next: Optional[int] = None  # the oldest ticket, whose call is still on its way

    def came(self, call: RunningCall) -> int:
        """A call has come: how many turns are to be posted."""
        with self._lock:
            self._calls[call.call_id] = call
            return 1 + self._anew()

    def came_together(self, event: Calls) -> int:
        """Several have come: how many turns are to be posted."""
        with self._lock:
            self._calls.update(dict.fromkeys(event.numbers, Together(event)))
            return len(event.numbers) + self._anew()

    def recalled(self, numbers: List[Any]) -> Tuple[List[RunningCall], int]:
        """The host has taken calls back, or others for a moment: (those that were here, how many turns are to be posted)."""
        with self._lock:
            found = [call for call in (self._calls.pop(number, None) for number in numbers) if call is not None]
            missed = min(self._missed, len(found))
            self._missed -= missed
            self._void += len(found) - missed
            return [call for call in found if isinstance(call, RunningCall)], self._anew()

    def take(self, tickets: Tickets) -> Tuple[Union[RunningCall, Call, None], int]:
        """A turn: (the call that is to run now, or is to be made for that; or None; how many turns are to be posted)."""
        with self._lock:
            if self._void:
                self._void -= 1
                return None, 0
            ticket = self._next if self._next is not None else tickets.take()
            call = None if ticket is None else self._calls.pop(ticket, None)
            if ticket is None or call is None:
                self._next = ticket
                self._missed += 1
                return None, 0
            self._next = None
            return call.call(ticket) if isinstance(call, Together) else call, self._anew()

    def _anew(self) -> int:
        turns, self._missed = self._missed, 0
        return turns
