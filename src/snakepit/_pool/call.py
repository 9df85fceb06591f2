"""One call at the host, from submission to its end, and what its caller's mailbox receives."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
from typing import Any, NamedTuple, Protocol

from snakepit.errors import SnakepitError
from snakepit_bridge.wire.frames import Chunks, Window


class Ended(NamedTuple):
    """The call ended well: its value, and facts about the run."""

    value: Any
    metadata: dict[str, Any]


class Failed(NamedTuple):
    """The call ended with this error."""

    error: SnakepitError


class ProgressNews(NamedTuple):
    """A unary call reported; `Call.progress` holds the newest report."""


Item = Chunks | Ended | Failed | ProgressNews


class Mailbox(Protocol):
    """Where a call's news goes. Each face of the pool has its own kind; `put` is called on the loop's thread, never blocks."""

    def put(self, item: Item, /) -> None: ...


@dataclasses.dataclass(slots=True, eq=False)
class Call:
    """One run of a tool, as the engine knows it. Times in seconds on the loop's clock.

    Attributes:
        deadline: when it ends at the latest; None: no deadline.
        began: when it was given to a worker, by `time.monotonic()`; set before `worker_id`.
        worker_id: who runs it; empty while it waits.
        over: its caller has had the end of it; what still comes is dropped.
        progress: the newest report of a unary call that its caller has not seen; at most one.
    """

    id: int
    tool: str
    args: dict[str, Any]
    streaming: bool
    timeout: float | None
    window: Window
    mailbox: Mailbox
    deadline: float | None = None
    began: float = 0.0
    worker_id: str = ""
    over: bool = False
    cancelling: bool = False
    chunks: int = 0
    progress: collections.deque[dict[str, Any]] = dataclasses.field(default_factory=lambda: collections.deque(maxlen=1))
    progress_told: bool = False
    timers: list[asyncio.TimerHandle] = dataclasses.field(default_factory=list)

    def report(self, payload: dict[str, Any]) -> None:
        """On the loop's thread: a report has come. The caller is told once, however many come until it looks."""
        self.progress.append(payload)
        if not self.progress_told:  # in this order: whatever was appended before the caller resets it, the caller will see
            self.progress_told = True
            self.mailbox.put(ProgressNews())

    def take_progress(self) -> dict[str, Any] | None:
        """On the caller's thread: the newest report, if it has not been taken."""
        self.progress_told = False
        try:
            return self.progress.pop()
        except IndexError:
            return None

    def finish(self, item: Ended | Failed) -> bool:
        """Tell the caller how it ended; False if that was told before."""
        if self.over:
            return False
        self.over = True
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()
        self.mailbox.put(item)
        return True
