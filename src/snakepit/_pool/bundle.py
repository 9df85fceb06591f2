"""The calls of one `map`, and short ones of them that go to a worker together: one call to the Scheduler, many to workers and callers."""

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
        left: those that have not ended, by their numbers: (their item's, their arguments).
        seconds: as long takes one of them.
    """

    job: Job
    left: dict[int, tuple[int, dict[str, Any]]]
    seconds: float

    def put(self, item: Item) -> None:
        """It was refused."""
        if isinstance(item, Failed):
            for index, _ in self.left.values():
                self.job.tell(index, Failed(failures.again(item.error)))
