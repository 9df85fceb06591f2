"""One call at the host, from submission to its end, and what its caller's mailbox receives."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from snakepit.errors import SnakepitError
from snakepit.retries import RetryPolicy
from snakepit.telemetry.spans import CallSpan
from snakepit_bridge.wire.frames import Chunks, Window

from .alarm import Alarm
from .host_tools.offspring import Offspring

if TYPE_CHECKING:
    from .bundle import Bundle


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


class Opening(NamedTuple):
    """How a call opens its session, if that is not there.

    Attributes:
        ttl: its lifetime without calls (seconds); None: as the pool is set.
        opened: told, on the loop's thread, whether it was made for this call.
    """

    ttl: float | None
    metadata: Mapping[str, Any] | None
    opened: Callable[[bool], None]


class Mailbox(Protocol):
    """Where a call's news goes. Each face of the pool has its own kind; `put` is called on the loop's thread, never blocks."""

    def put(self, item: Item, /) -> None: ...


@dataclasses.dataclass(slots=True, eq=False)
class Call:
    """One run of a tool, as the engine knows it. Times in seconds on the loop's clock.

    Attributes:
        id: its number, in this run of it; another one once it has been taken back from a worker, in a bundle.
        deadline: when it ends at the latest; None: no deadline.
        submitted: when it was submitted, by `time.monotonic()`.
        began: when it was given to a worker, by the same clock; set before `worker_id`.
        worker_id: who runs it; empty while it waits. ahead_at: it was sent ahead to this worker, and may run there.
        over: its caller has had the end of it; what still comes is dropped.
        cancelling: its worker has been told to end it. cancelled_at: since when, on the loop's clock; cancelled_by: the error that says
            how far that is. worker_asked: its worker has been asked to end itself for it.
        progress: the newest report of a unary call that its caller has not seen; at most one. None: there has been no report.
        binary: arguments that travel untouched, as bytes.
        pickles: names of those that go as pickles. no_pickle: why others do not, where either side speaks of pickles.
        session_id: the session it belongs to; empty: none. session_must_exist: it was opened before, and is not opened by this call.
        opening: how it opens its session, where a `Session` says so.
        affinity: how it sticks to its session's worker.
        moved: its session went to another worker for it: from where and why.
        correlation_id: `<run>-<number>`, in every log line about it; a nested call keeps that of the call it came from.
        waited: its caller waits for it now; a future's does so only while it asks for the result.
        blocking: it is not async: while it runs, a worker that runs such calls on its main thread can do nothing else.
        repeatable: its tool says that it may run again. retry: when it does; None: as the pool is set.
        runs: how often it has run, the run of now among them. retried: where and why the last one before failed.
        blamed: this run has been counted as a failure of its tool.
        span: its span, where the application traces; ended by `finish`.
        ancestors: the calls from whose host tools this one was made, by (run of the pool, number), outermost first.
        family: the open calls of the host tools of the innermost of these, this one among them.
        bundle: what it stands for, if it is several short calls that travel together. travels_in: the one of which it is such a call.
    """

    id: int
    tool: str
    args: dict[str, Any]
    streaming: bool
    timeout: float | None
    window: Window
    mailbox: Mailbox
    deadline: float | None = None
    submitted: float = 0.0
    began: float = 0.0
    worker_id: str = ""
    ahead_at: str = ""
    over: bool = False
    cancelling: bool = False
    cancelled_at: float = 0.0
    cancelled_by: SnakepitError | None = None
    worker_asked: bool = False
    chunks: int = 0
    progress: collections.deque[dict[str, Any]] | None = None  # a deque takes more than half a kilobyte, and most calls need none
    progress_told: bool = False
    binary: Mapping[str, bytes] | None = None
    pickles: tuple[str, ...] = ()
    no_pickle: str = ""
    session_id: str = ""
    session_must_exist: bool = False
    opening: Opening | None = None
    affinity: str = "hint"
    moved: dict[str, Any] | None = None
    correlation_id: str = ""
    waited: bool = True
    blocking: bool = False
    repeatable: bool = False
    retry: RetryPolicy | None = None
    runs: int = 1
    blamed: bool = False
    retried: dict[str, str] | None = None
    ancestors: tuple[tuple[str, int], ...] = ()
    family: Offspring | None = None
    span: CallSpan | None = None
    bundle: Bundle | None = None
    travels_in: Call | None = None
    timers: list[asyncio.TimerHandle | Alarm] = dataclasses.field(default_factory=list)

    @property
    def count(self) -> int:
        """How many calls it is, that have not ended."""
        return 1 if self.bundle is None else len(self.bundle.left)

    @property
    def has_begun(self) -> bool:
        """Does a worker run it, as far as that is known here? From any thread."""
        owner = self.travels_in
        if owner is None or owner.bundle is None or not owner.worker_id:
            return bool(self.worker_id)
        with contextlib.suppress(RuntimeError):  # asked from another thread, while one ends
            return next(iter(owner.bundle.left), 0) == self.id
        return False

    def where(self) -> dict[str, Any]:
        """Facts for the end's metadata, or its error's details: who ran it, for which session, and whether that has moved."""
        facts: dict[str, Any] = {"worker_id": self.worker_id}
        if self.session_id:
            facts["session_id"] = self.session_id
            if self.moved is not None:
                facts["session_moved"] = dict(self.moved)  # each caller its own
        if self.retried is not None:
            facts.update(retried=dict(self.retried), runs=self.runs)
        return facts

    def may_run_again(self) -> bool:
        """It has failed: may it run once more, without anybody's having seen something of the first time?"""
        return self.repeatable and not (self.over or self.cancelling or self.chunks or self.session_id or self.ancestors)

    def report(self, payload: dict[str, Any]) -> None:
        """On the loop's thread: a report has come. The caller is told once, however many come until it looks."""
        if self.progress is None:
            self.progress = collections.deque(maxlen=1)
        self.progress.append(payload)
        if not self.progress_told:  # in this order: whatever was appended before the caller resets it, the caller will see
            self.progress_told = True
            self.mailbox.put(ProgressNews())

    def take_progress(self) -> dict[str, Any] | None:
        """On the caller's thread: the newest report, if it has not been taken."""
        self.progress_told = False
        try:
            return self.progress.pop() if self.progress is not None else None
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
        if self.family is not None:
            self.family.remove(self)
        if self.span is not None:
            if isinstance(item, Failed):
                self.span.fail(self, item.error)
            else:
                self.span.succeed(self, item.value)
        self.mailbox.put(item)
        return True


def cancel_each(calls: Callable[[], Iterable[Call]], cancel: Callable[[Call], None]) -> None:
    """Cancel calls, those first that have not begun; again, as long as there are some: what waits may be put together anew meanwhile.

    Args:
        calls: those of now; who has been cancelled may be among them still.
    """
    while left := [call for call in calls() if not (call.over or call.cancelling)]:
        for call in sorted(left, key=lambda call: bool(call.worker_id)):
            if not (call.over or call.cancelling):
                cancel(call)
