"""Short calls that were submitted one by one, in the same turn of the loop, to busy workers: they travel together. On the engine's loop.

Whoever has many calls on the way at a time (`submit`, `asyncio.gather`, an executor) has the next ones ready as results arrive, which
they do several at a time. These are kept until the turn's end, then go on in their order; neighbours that are alike but for their
arguments as bundles, as those of a `map` do. A call for which a worker is free is never kept.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
from collections.abc import Callable

from . import call_log
from .bundles import Bundles
from .call import Call
from .ledger import Ledger
from .scheduler import Scheduler


class Gathering:
    """That of one pool.

    Args:
        queue_size: how many calls may wait.
        ledger: the open calls; those that are kept are in it, those in bundles are not.
        take_in: takes a call to the Scheduler.

    Attributes:
        worthwhile: there are workers that take bundles.
    """

    def __init__(self, queue_size: int, scheduler: Scheduler, ledger: Ledger, bundles: Bundles, take_in: Callable[[Call], None]) -> None:
        self._queue_size = queue_size
        self._scheduler = scheduler
        self._ledger = ledger
        self._bundles = bundles
        self._take_in = take_in
        self._loop = asyncio.get_running_loop()
        self._kept: list[Call] = []
        self.worthwhile = False
        scheduler.beside = lambda: bundles.waiting + len(self._kept)

    def keeps(self, call: Call) -> bool:
        """Is a call that has been submitted kept for a moment? If not, none is any more: it is not to pass others."""
        if call.bundle is not None or self._scheduler.is_any_free or not self._may_travel(call):
            self.flush()
            return False
        if not self._kept:
            self._loop.call_soon(self.flush)
        self._kept.append(call)
        return True

    def flush(self) -> None:
        """Those that are kept go on. In nobody's context: they are of several callers."""
        if self._kept:
            contextvars.Context().run(self._go_on)

    def _may_travel(self, call: Call) -> bool:
        alone = call.streaming or call.session_id or call.ancestors or call.binary or call.span or not call.blocking
        if alone or not self.worthwhile or call_log.is_on() or self._bundles.most(call.tool, self._bundles.open_calls()) == 1:
            return False
        return self._bundles.takes(call.args)

    def _go_on(self) -> None:
        kept, self._kept = self._kept, []
        still = [call for call in kept if self._ledger.get(call.id) is call and not call.over]  # others were cancelled meanwhile
        for (tool, _, _), neighbours in itertools.groupby(still, key=lambda call: (call.tool, call.timeout, call.pickles)):
            calls, most = list(neighbours), self._bundles.most(tool, self._bundles.open_calls())
            if len(calls) > self._queue_size - self._scheduler.waiting:
                most = 1  # those for which there is no place are refused, and no others
            for start in range(0, len(calls), most):
                part = calls[start : start + most]
                self._take_in(part[0] if len(part) == 1 else self._bundles.gathered(part))
