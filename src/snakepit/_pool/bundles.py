"""Short calls that travel together, between the Dispatcher and the workers. Lives on the engine's loop.

A `map` over many short calls would spend most of its time on asking, scheduling and telling each. So they go to the Scheduler as one
call, a *bundle*, and to a worker in one frame. There each is a call by itself, with a number and a ticket (see `SentAhead`), and ends by
itself. What is more than a good end (an error, a question to a host tool, a cancel, a dead worker) makes a call of its own of it
here too: from then on it goes the way that all calls go.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from snakepit._workers.worker import Worker
from snakepit.config import PoolConfig
from snakepit.telemetry import spans
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.payload import at_least

from . import call_log
from .ahead_lines import TOGETHER_SECONDS
from .bundle import Bundle, Job, Travellers
from .call import Call, Ended
from .early import begins_first, taken_off
from .host_tools.context import CURRENT
from .ledger import Ledger
from .pace import Pace
from .patience import Patience
from .scheduler import Scheduler
from .tools import ToolSpec

#: So many calls travel together, at most. With those that are sent ahead, they are no more than a worker can write down.
MOST = 16
#: And as long may they take (seconds). Two bundles wait at a worker.
SECONDS = TOGETHER_SECONDS / 2
#: One that has run for so long is late (seconds).
LATE_SECONDS = 10 * SECONDS
#: Arguments as large as this (bytes) travel by themselves.
SMALL = 4 * 1024
#: Facts about an end that are more than can be told at once.
_MORE = frozenset(("warning", "tainted", "rung", "forced", "snapshot"))


class Bundles:
    """Those of one pool.

    Args:
        workers: the workers of now, by id.
        patience: sees to it that deadlines, and the time in the queue, are kept.

    Attributes:
        pace: of the pool's tools.
    """

    def __init__(
        self,
        config: PoolConfig,
        scheduler: Scheduler,
        workers: Mapping[str, Worker],
        ledger: Ledger,
        run_id: str,
        patience: Patience,
    ) -> None:
        self._config = config
        self._scheduler = scheduler
        self._workers = workers
        self._ledger = ledger
        self.pace = Pace()
        self._run_id = run_id
        self._patience = patience
        self._travellers = Travellers(run_id)
        self._owners: dict[int, Call] = {}  # the bundle of each call that is in one
        self._count = 0  # of bundles that are not empty
        watched = config.circuit_breaker is not None or config.max_calls is not None  # each call by itself
        self._never = not config.pipelining or watched or config.profile == "thread"

    def size(self, spec: ToolSpec, window: int) -> int:
        """How many calls of a tool are to travel together; 1: none. From any thread."""
        if spec.asynchronous or CURRENT.get() is not None or spans.traced():
            return 1
        return self.most(spec.name, window)

    def most(self, tool: str, window: int) -> int:
        """The same of calls that may travel together, as far as they are short."""
        if self._never or self.pace.short(tool) is None:
            return 1
        # By the mean: one that takes longer now and then is no reason to send all of them one by one.
        return max(1, min(MOST, int(SECONDS / max(self.pace.mean(tool), 1e-6)), window // (2 * self._config.size)))

    @staticmethod
    def takes(args: Mapping[str, Any]) -> bool:
        """Are a call's arguments small enough to travel with others'? From any thread."""
        return at_least(args.values()) <= SMALL

    def bundle(self, tool: str, parts: list[tuple[int, dict[str, Any]]], job: Job) -> Bundle:
        """Of several short calls of one tool: for each its item's number, and its arguments. From any thread."""
        return Bundle(job, {next(self._ledger.numbers): part for part in parts}, self.pace.mean(tool))

    def gathered(self, calls: list[Call]) -> Call:
        """A bundle of calls that were submitted one by one: alike but for their arguments."""
        bundle = Bundle(self._travellers, {call.id: (call, call.args) for call in calls}, self.pace.mean(calls[0].tool))
        owner = dataclasses.replace(calls[-1], id=next(self._ledger.numbers), args={}, mailbox=bundle, bundle=bundle, timers=[])
        self._travellers.enter([owner])
        self._ledger.gathered(calls, owner)
        return owner

    @property
    def waiting(self) -> int:
        """How many calls wait in bundles, beside these: in each, at most one runs."""
        return len(self._owners) - self._count

    def open_calls(self) -> int:
        """How many calls of the pool have not ended, by themselves or not."""
        return len(self._ledger) - self._count + len(self._owners)

    def traveller(self, number: int) -> Call | None:
        """A call that was submitted by itself, and is in a bundle."""
        owner = self._owners.get(number)
        known = None if owner is None else _of(owner).left[number][0]
        return known if isinstance(known, Call) else None

    def entered(self, call: Call) -> None:
        """One has been submitted."""
        if call.bundle is not None:
            call.correlation_id = ""  # whose a line is that is printed there, nobody knows
            self._owners.update(dict.fromkeys(call.bundle.left, call))
            self._count += 1

    def runs_as(self, number: int) -> int:
        """The call that the Scheduler has in the place of this one."""
        return self._owners[number].id if number in self._owners else number

    def send(self, call: Call, worker: Worker, options: dict[str, Any]) -> bool:
        """Send one to a worker, whatever that runs; False: its calls have to go by themselves."""
        call.ahead_at = worker.id
        numbers, args = list(_of(call).left), [args for _, args in _of(call).left.values()]
        options["cid"] = self._run_id
        sent = worker.connection.call_together(call.tool, numbers, args, options, call.window)
        for number, own in zip(numbers, args, strict=True) if sent else ():
            worker.secrets.running(number, own)
        return sent

    def unsent(self, call: Call) -> None:
        """None of its calls has been sent: each waits by itself, in its turn."""
        parts = [self._apart(call, number, "") for number in _of(call).left]
        for part in parts:
            self._lost(call, part.id)
            self._scheduler.split(call.id, part.id, None)
        self.forget(call)

    def runs_long(self, worker: Worker) -> None:
        """None has ended there for a while, and what could be taken back has been: one that is left alone is told by its own name."""
        for owner in map(self._ledger.get, list(worker.running)):
            if owner is not None and owner.bundle is not None and len(owner.bundle.left) == 1:
                owner.correlation_id = worker.running[owner.id] = f"{self._run_id}-{next(iter(owner.bundle.left))}"

    # What comes of them -------------------------------------------------------------------------------------------------------

    def ended(self, worker: Worker, event: frames.Result | frames.Failure) -> tuple[Call | None, Call | None]:
        """A call has ended that is in a bundle: (a call by itself, whose end others are to tell; the bundle, if it is over by that)."""
        owner = self._owner(worker, event.call_id)
        if owner is None:
            return None, None
        if not isinstance(event, frames.Result) or not _MORE.isdisjoint(event.metadata) or call_log.is_on():
            return self._apart(owner, event.call_id, worker.id), None
        bundle = _of(owner)
        key, _ = bundle.left[event.call_id]
        self._lost(owner, event.call_id)
        worker.secrets.ended(event.call_id)
        self.pace.ended(owner.tool, event.metadata)
        worker.calls_served += 1
        self._ledger.counters.succeeded += 1
        worker.secrets.told([event.value])
        bundle.job.ended(key, Ended(event.value, event.metadata), worker.id)
        return None, None if bundle.left else owner

    def spoken_of(self, worker: Worker, number: int) -> Call | None:
        """A worker speaks of a call that is in a bundle: a call by itself from now on. None: it is in none."""
        owner = self._owner(worker, number)
        return None if owner is None else self._apart(owner, number, worker.id)

    def part_left(self, call: Call) -> Call | None:
        """A call that was made of a bundle's has left its worker: the bundle, if that was its last."""
        owner = self._owners.get(call.id)
        if owner is None:
            return None
        self._lost(owner, call.id)
        self._see_if_none(owner)
        return None if _of(owner).left else owner

    # Taken apart --------------------------------------------------------------------------------------------------------------

    def _apart(self, owner: Call, number: int, worker_id: str) -> Call:
        """Make a call by itself of one in a bundle: that worker runs it, for which the bundle lasts; empty: it waits."""
        known = self._ledger.get(number)
        if known is not None:
            return known
        call = _of(owner).job.part(owner, number, *_of(owner).left[number])
        call.correlation_id, call.worker_id, call.ahead_at = f"{self._run_id}-{number}", worker_id, ""
        self._ledger.enter_part(call)
        self._patience.bound(call)
        if worker_id in self._workers:
            self._workers[worker_id].running[number] = call.correlation_id
            self._see_if_none(owner)
        return call

    def _see_if_none(self, owner: Call) -> None:
        """Are all that are left in a bundle calls by themselves? Then it is nothing that runs, or that anybody waits for."""
        left, worker = _of(owner).left, self._workers.get(owner.worker_id or owner.ahead_at)
        if left and worker is not None and all(self._ledger.get(part) is not None for part in left):
            worker.running.pop(owner.id, None)
            self._ledger.stands_for_none(owner)

    def scattered(self, owner: Call) -> list[Call]:
        """All of a bundle as calls by themselves. What has not begun, waits nowhere; the bundle lasts until the others have ended."""
        return self._out_of(owner, lambda left: left)

    def taken_out(self, call: Call) -> None:
        """A call that was submitted by itself is so again. If it has not begun, it waits nowhere."""
        while call.travels_in is not None:  # what comes meanwhile may put it into another bundle
            self._out_of(call.travels_in, lambda left: [call.id] if call.id in left else [])

    def _out_of(self, owner: Call, chosen: Callable[[list[int]], list[int]]) -> list[Call]:
        left, worker = _of(owner).left, self._workers.get(owner.worker_id or owner.ahead_at)
        if worker is not None:
            worker.connection.recover()  # what has ended there, and is on its way
        numbers = chosen(list(left))
        waits = set(numbers) if worker is None else set(worker.connection.take_back(set(numbers).intersection))
        calls = []
        for number in numbers:
            calls.append(self._apart(owner, number, "" if number in waits or worker is None else worker.id))
            if number in waits:
                self._lost(owner, number)
                if worker is not None:
                    worker.secrets.ended(number)
        self._see_if_none(owner)
        if not left and self._ledger.get(owner.id) is owner:
            self.forget(owner)
        return calls

    def orphans(self, calls: Iterable[Call]) -> Iterator[Call]:
        """The calls of a worker that has died: of a bundle, those in it that had begun."""
        for owner in calls:
            if owner.bundle is None:
                yield owner
                continue
            parts = [self._apart(owner, number, "") for number in owner.bundle.left]
            for part in parts:
                self._lost(owner, part.id)
            self._leave(owner)
            yield from parts

    def taken_back(self, worker: Worker, numbers: Iterable[int], *, together: bool) -> None:
        """Calls of bundles do not run there: they wait for any worker again, in their turn.

        Args:
            together: as bundles of their own, with new numbers: word of what was taken back, and second tickets, would pass each other.
                Else each by itself: such calls are not as short as they were thought to be.
        """
        taken: dict[int, list[int]] = {}
        for number in numbers:
            if number in self._owners:
                taken.setdefault(self._owners[number].id, []).append(number)
        for owner_id, gone in taken.items():
            owner = self._ledger.known(owner_id)
            again = [self._again(owner, gone)] if together else [self._apart(owner, number, "") for number in gone]
            for number in gone:
                self._lost(owner, number)
                worker.secrets.ended(number)
            for call in again:
                self._scheduler.split(owner.id, call.id, self.seconds(call) if together else None)
            self._see_if_none(owner)
            if not _of(owner).left:
                self.forget(owner)

    def _again(self, owner: Call, gone: list[int]) -> Call:
        """Another bundle of these calls of one."""
        numbers, left = self._ledger.numbers, _of(owner).left
        bundle = dataclasses.replace(_of(owner), left={next(numbers): left[number] for number in gone})
        call = dataclasses.replace(owner, id=next(numbers), bundle=bundle, mailbox=bundle, worker_id="", ahead_at="", timers=[])
        bundle.job.enter([call])
        self._ledger.enter_part(call)
        self.entered(call)
        self._patience.bound(call)
        return call

    def forget(self, owner: Call) -> None:
        """Nothing is left of a bundle: who takes its slot, `next_assignments` tells."""
        worker = self._workers.get(owner.worker_id or owner.ahead_at)
        if worker is not None:
            taken_off(worker, owner.id)
        self._scheduler.gone(owner.id)
        self._leave(owner)

    def whole(self, number: int, there: Collection[int]) -> list[int]:
        """The calls of the bundle that a call is in, if none of them has begun; empty: one has. `there`: those with tickets."""
        owner = self._owners.get(number)
        if owner is None:
            return [number]  # its ticket was left over
        left = list(_of(owner).left)
        return left if not owner.worker_id and set(left).issubset(there) else []

    @staticmethod
    def is_late(running: Iterable[Call | None]) -> bool:
        """Does a bundle take much longer than it may, though calls in it end?"""
        return any(call is not None and call.bundle is not None and time.monotonic() - call.began > LATE_SECONDS for call in running)

    # Inside -------------------------------------------------------------------------------------------------------------------

    @staticmethod
    def seconds(call: Call) -> float:
        """As long a bundle is taken to be: so that only two wait at a worker."""
        return max(SECONDS, _of(call).seconds * len(_of(call).left))

    def _owner(self, worker: Worker, number: int) -> Call | None:
        """The bundle of a call of which a worker speaks."""
        owner = self._owners.get(number)
        if owner is not None:
            begins_first(owner, worker, self._scheduler, self._ledger)
        return owner if owner is not None and owner.worker_id == worker.id else None

    def _lost(self, owner: Call, number: int) -> None:
        """A call is not of this bundle any more."""
        del self._owners[number]
        del _of(owner).left[number]
        self._count -= not _of(owner).left

    def _leave(self, owner: Call) -> None:
        _of(owner).job.bundles.pop(owner.id, None)
        self._ledger.dissolved(owner)


def _of(call: Call) -> Bundle:
    """What a call stands for that is known to be a bundle."""
    assert call.bundle is not None, "a call by itself is taken for a bundle"
    return call.bundle
