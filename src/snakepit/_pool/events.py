"""Telemetry events of a pool's workers, from their channels to the application's `on_event`; and which of them are wanted.

A plain function runs on a thread of the pool's own, an async one on the pool's loop, one event at a time. However slow it is, calls do
not wait for it: a worker sends its next batch when the last one has been taken, and what it cannot keep until then is dropped and counted.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import inspect
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from snakepit._workers.lifecycle import State
from snakepit._workers.worker import Worker
from snakepit.events import TelemetryEvent, TelemetrySettings
from snakepit.telemetry.logs import library_logger
from snakepit_bridge.frozen import freeze
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.event_filter import EventFilter

_log = library_logger("snakepit.telemetry")

#: Events that wait for `on_event`, at most; a worker has one batch of them.
_MOST_WAITING = 10_000
#: How long a pool that closes goes on telling what has come (seconds).
_CLOSE_SECONDS = 1.0
#: An `on_event` that keeps raising is logged so often (seconds).
_LOG_EVERY_SECONDS = 60.0

Taken = Callable[[], None]


class Events:
    """What one pool's application hears. Made and entered on the engine's loop, but for `_serve`.

    Args:
        on_event: who is told; None: nobody, and workers send nothing.
        workers: those of now.
    """

    def __init__(self, on_event: Callable[[TelemetryEvent], Any] | None, workers: Callable[[], Iterable[Worker]]) -> None:
        self._on_event = on_event
        self._settings = TelemetrySettings()
        self._workers = workers
        self._loop = asyncio.get_running_loop()
        self._is_async = inspect.iscoroutinefunction(on_event) or inspect.iscoroutinefunction(type(on_event).__call__)
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        # The mutable state, changed under the lock.
        self._waiting: collections.deque[tuple[str, list[Any], Taken | None]] = collections.deque()
        self._dropped_here = self.told = 0
        self._ends_at = 0.0  # when telling ends (`time.monotonic`); 0.0: the pool is open
        # Of the loop's thread alone.
        self._dropped_there: dict[str, int] = {}
        self._missing: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Event = asyncio.Event()
        self._complaint = _Complaint()

    @property
    def dropped(self) -> int:
        """How many have been lost, in workers and here."""
        return self._dropped_here + sum(dict(self._dropped_there).values())

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why events of some workers do not come."""
        return tuple(dict.fromkeys(self._missing.copy().values()))

    def change(self, settings: TelemetrySettings) -> None:
        """From now on these are wanted."""
        self._settings = settings
        for worker in self._workers():
            if worker.state is State.READY:  # else it is told when it is
                self.worker_ready(worker)

    def change_from_anywhere(self, settings: TelemetrySettings) -> None:
        """`change`, from any thread; returns at once. Calls that are made after it come after it."""
        if asyncio._get_running_loop() is self._loop:
            self.change(settings)
            return
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self.change, settings)

    def worker_ready(self, worker: Worker) -> None:
        """Tell a worker what is wanted of it."""
        if self._on_event is not None:
            wanted = self._settings
            told = EventFilter(wanted.enabled, wanted.sampling.items(), wanted.allow, wanted.deny).told()
            worker.connection.telemetry(told)

    def take(self, worker: Worker, event: frames.Events | frames.NoEvents) -> None:
        """A worker tells."""
        if isinstance(event, frames.NoEvents):
            if event.reason:
                self._missing[worker.id] = event.reason
            else:
                self._missing.pop(worker.id, None)
            return
        self._dropped_there[worker.id] = event.dropped

        def taken() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(_more_from, worker)

        if self._on_event is None or not event.events:
            taken()
            return
        self._put(worker.id, event.events, taken)

    def _put(self, worker_id: str, events: list[Any], taken: Taken | None) -> None:
        gone: list[Taken] = []
        with self._lock:
            if self._ends_at:
                return
            for number, event in enumerate(events, 1):
                self._waiting.append((worker_id, event, taken if number == len(events) else None))
            while len(self._waiting) > _MOST_WAITING:
                _, _, last = self._waiting.popleft()
                self._dropped_here += 1
                gone += [last] if last is not None else []
            self._news.notify()
        for last in gone:
            last()
        self._begin()

    def _begin(self) -> None:
        if self._is_async:
            self._wake.set()
            if self._task is None:
                self._task = self._loop.create_task(self._serve_async(), name="snakepit-events")
        elif self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="snakepit-events", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Nothing more will come: tell what has, as far as there is time."""
        with self._lock:
            self._ends_at = time.monotonic() + _CLOSE_SECONDS
            self._news.notify()
        self._wake.set()

    async def close(self) -> None:
        """`stop`, and wait for it, bounded: a function that blocks is left to its (daemon) thread."""
        self.stop()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=_CLOSE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=_CLOSE_SECONDS)
        if self._thread is not None:
            await asyncio.wait([self._ended], timeout=_CLOSE_SECONDS)

    # Telling ------------------------------------------------------------------------------------------------------------------

    def _next(self) -> tuple[TelemetryEvent, Taken | None] | None:
        """The next to tell, under the lock; None: there is none."""
        if self._ends_at and time.monotonic() > self._ends_at:
            self._dropped_here += len(self._waiting)
            self._waiting.clear()
        if not self._waiting:
            return None
        worker_id, (name, measurements, metadata, at, correlation_id, *_), taken = self._waiting.popleft()
        self.told += 1
        facts = freeze({str(key): value for key, value in metadata.items()})
        numbers = freeze({str(key): value if isinstance(value, (int, float, str)) else str(value) for key, value in measurements.items()})
        return TelemetryEvent(name, numbers, facts, float(at), worker_id, correlation_id), taken

    def _serve(self) -> None:
        self._tell_all()
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._ended.set_result, None)

    def _tell_all(self) -> None:
        while True:
            with self._lock:
                while (item := self._next()) is None:
                    if self._ends_at:
                        return
                    self._news.wait()
            event, taken = item
            try:
                assert self._on_event is not None
                answer = self._on_event(event)
                if inspect.iscoroutine(answer):
                    answer.close()
                    raise TypeError("on_event gave a coroutine: write it as `async def`")
            except BaseException as error:  # SystemExit, too, is no reason to end anything here
                self._complaint.log(error)
            if taken is not None:
                taken()

    async def _serve_async(self) -> None:
        while True:
            with self._lock:
                item = self._next()
            if item is None:
                if self._ends_at:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            event, taken = item
            try:
                assert self._on_event is not None
                await self._on_event(event)
            except (Exception, SystemExit) as error:
                self._complaint.log(error)
            if taken is not None:
                taken()
            await asyncio.sleep(0)  # one that never waits must not keep the loop for itself


class _Complaint:
    """What is logged of an `on_event` that raises: the first time, then once in a while, with how often it did."""

    def __init__(self) -> None:
        self._next = 0.0
        self._count = 0

    def log(self, error: BaseException) -> None:
        self._count += 1
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _LOG_EVERY_SECONDS
            _log.error("on_event raised (%d times since this was said last); its event is lost", self._count, exc_info=error)
            self._count = 0


def _more_from(worker: Worker) -> None:
    if worker.state in (State.READY, State.DRAINING) and not worker.condemned:
        worker.connection.more_events()
