"""Which calls of one pool wait for calls that their own host tools have made; finds those that wait for ever.

The dispatcher says what comes and goes; `deadlock` decides.
"""

from __future__ import annotations

from collections.abc import Callable

from .call import Call
from .deadlock import Nested, hopeless, is_served
from .scheduler import Scheduler


class Nesting:
    """The calls that are waited for by a host tool, under the call that waits.

    Args:
        run_id: names this run of the pool in `Call.ancestors`.
        size: how many workers the pool has when all are there.
        runs_as: as which call the Scheduler knows one that runs: others may stand for it.
    """

    def __init__(self, scheduler: Scheduler, run_id: str, size: int, runs_as: Callable[[int], int] = int) -> None:
        self._scheduler = scheduler
        self._run_id = run_id
        self._size = size
        self._runs_as = runs_as
        self._children: dict[int, dict[int, Call]] = {}  # no empty ones
        self._parents: dict[int, int] = {}  # of those

    def note(self, call: Call) -> None:
        """A call has come, or is waited for from now on, or no longer: `call.waited`."""
        parent = self._parent_of(call)
        if parent is None:
            return
        if call.waited and not call.over:
            parent = self._parents.setdefault(call.id, self._runs_as(parent))
            self._children.setdefault(parent, {})[call.id] = call
        else:
            self._remove(call)

    def left(self, call: Call) -> None:
        """A call has ended, or is about to: nobody waits for it, and it waits for nobody."""
        self._children.pop(call.id, None)
        if call.ancestors:
            self._remove(call)

    def doomed(self, newest: Call | None = None) -> Call | None:
        """A waiting call that can never run, the latest of several: when it has failed, those it came from may go on.

        Args:
            newest: nothing has changed but that this one is waited for.
        """
        seats = self._scheduler.seats
        if not self._children or len(seats) < self._size:  # a worker that is to come may take them
            return None
        streams = self._scheduler.streams_at_limit if newest is None or newest.streaming else None
        if newest is not None and not newest.worker_id and is_served(self._seen(newest, 0), seats, self._children.keys(), streams):
            return None
        streams = self._scheduler.streams_at_limit
        waited = {number: call for group in self._children.values() for number, call in group.items()}
        nested = [self._seen(call, parent) for parent, group in self._children.items() for call in group.values()]
        waiting = [number for number in hopeless(seats, nested, streams) if not waited[number].worker_id]
        return waited[max(waiting)] if waiting else None

    def _seen(self, call: Call, parent: int) -> Nested:
        return Nested(call.id, parent, self._scheduler.only_worker_for(call.session_id, call.affinity), call.streaming)

    def _parent_of(self, call: Call) -> int | None:
        """Its innermost ancestor in this pool. One in another pool between them waits too."""
        return next((number for run, number in reversed(call.ancestors) if run == self._run_id), None)

    def _remove(self, call: Call) -> None:
        parent = self._parents.pop(call.id, 0)
        group = self._children.get(parent)
        if group is not None:
            group.pop(call.id, None)
            if not group:
                del self._children[parent]
