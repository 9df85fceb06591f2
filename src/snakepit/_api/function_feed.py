"""An executor's functions, from `submit` to their ends: as many are in the pool's queue as that takes, the others wait here."""

from __future__ import annotations

import concurrent.futures
import functools
import heapq
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from snakepit._pool.call import Call
from snakepit._pool.engine import Engine
from snakepit.errors import CallCancelled, PoolError, QueueFull
from snakepit_bridge.wire.work import Work

from .function_future import TOOL, Broken, FunctionFuture, read
from .function_thread import ENDING, FunctionThread
from .future import CallFuture
from .loop_thread import LoopThread

if TYPE_CHECKING:
    from .pool import Pool

#: How many more functions than may wait are taken from threads that cannot wait for room.
_MOST_BEYOND = 100_000
#: How long the loop may take to say what it has withdrawn (seconds). It does nothing else for long.
_LOOP_SECONDS = 30.0


class Feed:
    """Those of one executor. From any thread.

    Args:
        dropped: called when nobody has the executor any more and none is open. In the middle of anything.
        cancel_running: functions that run are cancelled too, where one is to be.
    """

    def __init__(self, pool: Pool, dropped: Callable[[], object], *, cancel_running: bool) -> None:
        self._pool = pool
        self._tell_dropped = dropped
        self._cancel_running = cancel_running
        self._room = self._window = pool._config.size + pool._config.queue_size  # how many may be open; how many may be in the pool
        self._changed = threading.Condition()  # for those of the next lines. Nobody who has it waits for a thread
        self._numbers = itertools.count()
        self._open: dict[FunctionFuture, None] = {}
        self._waiting: list[FunctionFuture] = []  # a heap: those which the pool has not got; some have been cancelled
        self._given = 0
        self._held = False  # the pool's queue is full of others' calls
        self._shut = self._dropped = False
        self._broken: str | None = None
        self._thread = FunctionThread()

    def add(self, work: Work) -> FunctionFuture:
        """Take a function. Waits while as many are open as may be; not where callbacks run, who would wait for themselves.

        Raises:
            RuntimeError: there has been a shutdown. QueueFull: far too many are open, and this thread cannot wait.
            concurrent.futures.process.BrokenProcessPool: the initializer has failed.
        """
        self._check()
        self._check_process()
        on_loop = LoopThread.is_here()
        with self._changed:
            if on_loop or FunctionThread.is_here():
                self._check_crowd()
            else:
                self._changed.wait_for(lambda: len(self._open) < self._room or self._is_over())
            self._check()
            future = FunctionFuture(next(self._numbers), work, self.withdraw, self._check_wait)
            self._thread.start()
            if not self._open:
                ENDING.wait_for(self, self.wait_ended)
            self._open[future] = None
            try:
                if on_loop or self._held or self._waiting or self._given >= self._window:
                    heapq.heappush(self._waiting, future)
                    self._thread.put(self._feed)
                else:
                    self._give(future)
            except BaseException:
                self._leave(future)
                raise
            return future

    def refused(self, error: BaseException) -> FunctionFuture:
        """Of a function that cannot be sent: its error is told where its result is asked for.

        Raises:
            RuntimeError, concurrent.futures.process.BrokenProcessPool: as `add`.
        """
        self._check()
        future = FunctionFuture(-1, Work("", b"", []), self.withdraw, self._check_wait)
        future.end(None, error)
        return future

    def shut(self) -> None:
        """Take no more."""
        with self._changed:
            self._shut = True
            self._changed.notify_all()

    def wait_ended(self) -> None:
        """Return when none is open; their futures may not have been told."""
        with self._changed:
            self._changed.wait_for(lambda: not self._open)

    def end(self) -> None:
        """End the thread, once the futures have been told."""
        self._thread.end(wait=True)

    def drop(self) -> None:
        """Nobody has the executor any more: end the thread when none is open. From a garbage collection, perhaps."""
        if os.getpid() == self._pool._pid:
            self._dropped = True
            self._end_if_dropped()

    def open(self) -> list[FunctionFuture]:
        """Those that have not ended."""
        with self._changed:
            return list(self._open)

    # Cancelling ---------------------------------------------------------------------------------------------------------------

    def withdraw(self, futures: Iterable[FunctionFuture]) -> None:
        """Cancel those that no worker has begun with; those that run too, if the executor says so."""
        self._check_process()
        with self._changed:
            ours = [future for future in futures if future in self._open]
            given = [(future, future.call) for future in ours if future.call is not None]
            withdrawn = [future for future in ours if future.call is None]
            for future in withdrawn:
                self._leave(future)
        if self._cancel_running:
            withdrawn += [future for future, call in given if call.cancel() or call.cancelled()]
        elif given:
            withdrawn += self._withdrawn(given)
        for future in withdrawn:
            future.be_cancelled()

    def _withdrawn(self, given: Sequence[tuple[FunctionFuture, CallFuture]]) -> list[FunctionFuture]:
        """Ask the loop, which alone knows what has begun."""
        engine, loop = self._pool._engine, self._pool._loop
        if engine is None or loop is None:
            return []  # it is being closed, which ends all of them
        calls = [(future, future_of_call.call) for future, future_of_call in given]
        found: list[FunctionFuture] = []
        if LoopThread.is_here():  # perhaps in the middle of what changes the books: not now

            def later() -> None:
                _withdraw(engine, calls, found)
                for future in found:
                    self._thread.put(future.be_cancelled)

            loop.post(later)
            return []
        done = threading.Event()
        if loop.post(_withdraw, engine, calls, found, done):
            done.wait(_LOOP_SECONDS)
        return found

    # On the executor's thread -------------------------------------------------------------------------------------------------

    def _ended(self, future: FunctionFuture, call: concurrent.futures.Future[Any]) -> Any:
        error = None if call.cancelled() else call.exception()
        with self._changed:
            self._given -= 1
            if isinstance(error, QueueFull) and future in self._open:
                future.call = None
                self._window = max(1, self._given)  # others fill it: no more than has been taken, until more is
                self._held = True
                heapq.heappush(self._waiting, future)
                return self._feed
            self._window = min(self._room, self._window + 1)
            self._leave(future)
        again = self._feed()
        if call.cancelled() or isinstance(error, CallCancelled):
            if call.cancelled() or future.withdrawn:
                future.be_cancelled()
            else:
                future.end(None, error)
        elif error is not None:
            future.end(None, error)
        else:
            try:
                value, failure = read(call.result())
            except Broken as broken:
                self._break(str(broken), future)
            except Exception as strange:  # the pool has a tool of its own under that name
                future.end(None, strange)
            else:
                future.end(value, failure)
        return again

    def _feed(self) -> Any:
        """Give the pool what it takes. Gives itself if that is to be tried again."""
        failed: list[tuple[FunctionFuture, BaseException]] = []
        with self._changed:
            self._held = False
            while self._waiting and self._given < self._window:
                future = heapq.heappop(self._waiting)
                if future not in self._open:
                    continue
                try:
                    self._give(future)
                except Exception as refusal:  # the pool has been closed
                    self._leave(future)
                    failed.append((future, refusal))
            again = self._feed if self._waiting and not self._given else None
        for future, error in failed:
            future.end(None, error)
        return again

    def _break(self, text: str, first: FunctionFuture) -> None:
        from concurrent.futures.process import BrokenProcessPool  # here, for it imports multiprocessing

        with self._changed:
            self._broken = text
            left = [first, *self._open]
            calls = [future.call for future in left if future.call is not None]
            for future in left:
                self._leave(future)
        for future in left:
            future.end(None, BrokenProcessPool(_broken(text)))
        for call in calls:
            call.cancel()

    # Inside: with the condition -----------------------------------------------------------------------------------------------

    def _give(self, future: FunctionFuture) -> None:
        call = self._pool.submit(TOOL, {"work": future.work})
        future.call = call
        self._given += 1
        call.add_done_callback(functools.partial(self._arrived, future))

    def _arrived(self, future: FunctionFuture, call: concurrent.futures.Future[Any]) -> None:
        self._thread.put(functools.partial(self._ended, future, call))

    def _leave(self, future: FunctionFuture) -> None:
        self._open.pop(future, None)
        self._changed.notify_all()
        if not self._open:
            ENDING.forget(self)
            self._end_if_dropped()

    def _end_if_dropped(self) -> None:
        if self._dropped and not self._open:
            self._thread.end(wait=False)
            self._tell_dropped()

    def _check_wait(self, timeout: float | None) -> None:
        self._check_process()
        if self._thread.is_current and (timeout is None or timeout > 0):
            message = "a callback waits for another function of its executor, whose results come on the very thread that it runs on"
            hint = "let the other future call back, too; or hand the wait to a thread of yours"
            raise PoolError(message, code="would_deadlock", hint=hint)

    def _check_process(self) -> None:
        if os.getpid() != self._pool._pid:
            self._pool._usable()  # says so

    def _is_over(self) -> bool:
        return self._shut or self._broken is not None or ENDING.begun

    def _check(self) -> None:
        if self._broken is not None:
            from concurrent.futures.process import BrokenProcessPool  # as above

            raise BrokenProcessPool(_broken(self._broken))
        if self._shut or ENDING.begun:
            raise RuntimeError(f"cannot schedule new futures after {'shutdown' if self._shut else 'interpreter shutdown'}")

    def _check_crowd(self) -> None:
        if len(self._open) >= self._room + _MOST_BEYOND:
            hint = "submit from another thread, which waits for room"
            raise QueueFull(f"{len(self._open)} functions are open, and a callback of a future cannot wait for room", hint=hint)


def _withdraw(
    engine: Engine, calls: Sequence[tuple[FunctionFuture, Call | None]], found: list[FunctionFuture], done: threading.Event | None = None
) -> None:
    """On the loop's thread: cancel calls that have not begun. The last first: those behind it are not to move up in vain."""
    for future, call in reversed(calls):
        if call is not None and not call.over:
            future.withdrawn = True  # first: its end is told on another thread
            future.withdrawn = engine.withdraw(call, "its future was cancelled")
            if future.withdrawn:
                found.append(future)
    if done is not None:
        done.set()


def _broken(text: str) -> str:
    return f"the initializer failed in the worker:\n{text}"
