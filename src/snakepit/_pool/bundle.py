"""Calls of one `map`, or submitted one by one, of which short ones go to a worker together: one call to the Scheduler, many to others."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

from . import failures
from .call import Call, Ended, Failed, Item

#: What comes of calls: each with its item's number.
News = list[tuple[int, Item]]


class Job:
    """The calls of one `map` that have not ended. On the loop's thread.

    Args:
        put: takes what comes of them.

    Attributes:
        singles: those that go by themselves, by the numbers of their items. bundles: the others, by their own.
    """

    def __init__(self, put: Callable[[News], object]) -> None:
        self._put = put
        self._news: News = []
        self.singles: dict[int, Call] = {}
        self.bundles: dict[int, Call] = {}

    def open(self) -> list[Call]:
        """Its calls that have not ended, and the bundles."""
        return [*self.bundles.values(), *self.singles.values()]

    def enter(self, calls: list[Call]) -> None:
        """Calls are about to be submitted."""
        for call in calls:
            if call.bundle is not None:
                self.bundles[call.id] = call
            elif isinstance(call.mailbox, Slot):
                self.singles[call.mailbox.index] = call

    def tell(self, index: int, item: Item) -> None:
        """Something has come. All that comes in one turn of the loop is put at once: each time, a reader is woken."""
        self._news.append((index, item))
        if len(self._news) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        news, self._news = self._news, []
        self._put(news)

    def part(self, owner: Call, number: int, key: Any, args: dict[str, Any]) -> Call:
        """One of a bundle's calls, as a call by itself."""
        call = dataclasses.replace(owner, id=number, args=args, mailbox=Slot(self, key), bundle=None, timers=[])
        self.singles[key] = call
        return call

    def ended(self, key: Any, end: Ended, worker_id: str) -> None:
        """One of them has ended well, in its bundle."""
        self.tell(key, end)


class Travellers(Job):
    """Calls that were submitted one by one: each is itself what it stands for in its bundle, and has a mailbox of its own.

    Args:
        run_id: names this run of the pool.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__(lambda _news: None)
        self._run_id = run_id

    def enter(self, calls: list[Call]) -> None:
        """Bundles of them, in which they may have other numbers than before."""
        super().enter(calls)
        for owner in calls:
            for number, (call, _) in owner.bundle.left.items() if owner.bundle is not None else ():
                call.travels_in = owner
                if call.id != number:
                    call.id, call.correlation_id = number, f"{self._run_id}-{number}"

    def part(self, owner: Call, number: int, key: Any, args: dict[str, Any]) -> Call:
        """It goes on by itself."""
        call: Call = key
        call.began, call.travels_in = owner.began, None
        return call

    def tell(self, index: Any, item: Item) -> None:
        """Tell its caller."""
        if isinstance(item, (Ended, Failed)):
            index.finish(item)

    def ended(self, key: Any, end: Ended, worker_id: str) -> None:
        """Tell its caller."""
        call: Call = key
        call.worker_id, call.travels_in = worker_id, None
        end.metadata.update(call.where())
        call.finish(end)


class Slot:
    """The mailbox of one of its calls."""

    __slots__ = ("index", "job")

    def __init__(self, job: Job, index: int) -> None:
        self.job = job
        self.index = index

    def put(self, item: Item) -> None:
        """On the loop's thread; of a report nobody is told."""
        if isinstance(item, (Ended, Failed)):
            self.job.singles.pop(self.index, None)
            self.job.tell(self.index, item)


@dataclasses.dataclass(slots=True, eq=False)
class Bundle:
    """What a call has that stands for several. It is its own mailbox: each of them is told by itself.

    Attributes:
        left: those that have not ended, by their numbers: (what the job knows it by, its arguments). They run in this order.
        seconds: as long takes one of them.
    """

    job: Job
    left: dict[int, tuple[Any, dict[str, Any]]]
    seconds: float

    def put(self, item: Item) -> None:
        """It was refused."""
        if isinstance(item, Failed):
            for index, _ in self.left.values():
                self.job.tell(index, Failed(failures.again(item.error)))
