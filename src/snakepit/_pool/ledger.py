"""The book of calls: which are open, how they ended, the figures. Changed here and nowhere else.

A call is open from its submission until its slot is free again, which may be after its caller has been told the end. Of calls that travel
together (see `Bundles`) the bundle is open in their place, until one of them is more than a good end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterable

from snakepit.errors import CallCancelled, ChannelError, PoolClosed, WorkerCrashed, WorkerTimeout
from snakepit_bridge import redaction

from . import call_log
from .call import Call, Ended, Failed
from .stats import Counters


class Ledger:
    """The open calls of one pool, and its counters.

    Args:
        redactor: masks what the log tells of them.
        on_end: told of each call's end, once.

    Attributes:
        numbers: where each new call's number comes from; from any thread.
    """

    def __init__(
        self, redactor: redaction.Redactor = redaction.DEFAULT, on_end: Callable[[Call, Ended | Failed], None] | None = None
    ) -> None:
        self._on_end = on_end
        self._redactor = redactor
        self.counters = Counters()
        self.numbers = itertools.count(1)
        self._open: dict[int, Call] = {}
        self._without_end = {False: 0, True: 0}  # of those, by whether they are streams, how many have not been told their end
        self._changed = asyncio.Event()

    def enter(self, call: Call) -> None:
        """A call has been submitted."""
        self._open[call.id] = call
        self._without_end[call.streaming] += not call.over
        self.counters.submitted += call.count

    def enter_part(self, call: Call) -> None:
        """What was submitted in a bundle is a call by itself, or a bundle, from now on."""
        self._open[call.id] = call
        self._without_end[call.streaming] += not call.over

    def gathered(self, calls: Iterable[Call], bundle: Call) -> None:
        """Calls that wait by themselves are one from now on."""
        for call in calls:
            del self._open[call.id]
            self._without_end[call.streaming] -= not call.over
        self.enter_part(bundle)

    def __len__(self) -> int:
        return len(self._open)

    def stands_for_none(self, bundle: Call) -> None:
        """All in a bundle are calls by themselves: it has no end that anybody waits for."""
        self._without_end[bundle.streaming] -= not bundle.over
        bundle.over = True
        self._changed.set()

    def dissolved(self, call: Call) -> None:
        """Nothing is left of a bundle."""
        if self._open.pop(call.id, None) is not None:
            self._without_end[call.streaming] -= not call.over
            self._changed.set()
        call.over = True
        for timer in call.timers:
            timer.cancel()
        call.timers.clear()

    def get(self, call_id: int) -> Call | None:
        """An open call, by its number."""
        return self._open.get(call_id)

    def known(self, call_id: int) -> Call:
        """A call of which the Scheduler knows: it is open."""
        return self._open[call_id]

    def renumber(self, call: Call) -> None:
        """A call runs once more: another one to workers, for the end of the last run may still be on its way, or be written down."""
        del self._open[call.id]
        call.id = next(self.numbers)
        self._open[call.id] = call

    def open_calls(self) -> list[Call]:
        """The open calls of now."""
        return list(self._open.values())

    def oldest_waiting(self) -> Call | None:
        """The call that waits for a worker since longest; None: none waits. At the cost of those that run."""
        with contextlib.suppress(RuntimeError):  # asked from another thread, while the book changes
            return next((call for call in self._open.values() if not call.worker_id), None)
        return None

    def tell(self, call: Call, item: Ended | Failed) -> None:
        """Tell a call's caller how it ended, and count it; nothing happens if that was done before."""
        if isinstance(item, Failed) and call.moved is not None:  # its caller finds another state, and has no metadata that says so
            for name, fact in call.where().items():
                item.error.details.setdefault(name, fact)
        if call.finish(item):
            self._without_end[call.streaming] -= call.id in self._open
            kind = _kind(item)
            setattr(self.counters, kind, getattr(self.counters, kind) + 1)
            self._changed.set()
            if self._on_end is not None:
                self._on_end(call, item)
            call_log.ended(call, item, self._redactor)

    def leave(self, call: Call) -> None:
        """A call is no longer open: its slot is free, or it never had one."""
        for timer in call.timers:
            timer.cancel()
        call.timers.clear()
        self._open.pop(call.id, None)

    async def calls_ended(self, *, unary_only: bool) -> None:
        """Wait until no call (or none that gives one result) is without its end. Each has a deadline, unless its caller wanted none."""
        while self._without_end[False] or (self._without_end[True] and not unary_only):
            self._changed.clear()
            await self._changed.wait()


def _kind(item: Ended | Failed) -> str:
    if isinstance(item, Ended):
        return "succeeded"
    if isinstance(item.error, WorkerTimeout):
        return "timed_out"
    if isinstance(item.error, CallCancelled | PoolClosed):
        return "cancelled"
    return "crashed" if isinstance(item.error, WorkerCrashed | ChannelError) else "failed"
