"""`CallFuture`: what `Pool.submit` gives. Unlike other executors' futures, it can cancel a call that runs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from snakepit._pool.call import Call, Ended, Failed, Item

from .loop_thread import LoopThread


class CallFuture(concurrent.futures.Future[Any]):
    """The result of a call to come; its own mailbox.

    `cancel()` succeeds until the call has ended, also while it runs: the tool is interrupted.
    """

    def __init__(self) -> None:
        super().__init__()
        self._first_cancel = threading.Lock()
        #: Facts about the run, once it has ended well: `execution_time_ms`, `worker_id`, for a session `session_id`, `session_moved`.
        self.metadata: dict[str, Any] = {}
        self._waits: _Waits | None = None
        self.on_cancel: Callable[[], None] = lambda: None
        self.call: Call | None = None
        self.check_process: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        text = super().__repr__()
        return text.replace("state=pending", "state=running") if self.running() else text

    def put(self, item: Item) -> None:
        """On the loop's thread: something has come."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):  # cancelled in the same moment: that won
            if isinstance(item, Ended):
                self.metadata = item.metadata
                self.set_result(item.value)
            elif isinstance(item, Failed):
                self.set_exception(item.error)
        if isinstance(item, (Ended, Failed)):  # the call refers to this future: a result is not to wait for a garbage collection
            self.call, self.on_cancel = None, lambda: None

    def result(self, timeout: float | None = None) -> Any:
        """The call's result; raises what it raised, or `TimeoutError` after `timeout` seconds of waiting."""
        with self._waiting(timeout):
            return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call raised, or None."""
        with self._waiting(timeout):
            return super().exception(timeout)

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[Any]], object]) -> None:
        """Call `fn` with this future once it is done. In a host tool this counts as waiting: an event set by it may be waited for."""
        if self._waits is not None and not self.done():
            self._waits.begin()
        super().add_done_callback(fn)

    def report_waits(self, call: Call, tell: Callable[[], None]) -> None:
        """Keep `call.waited`: somebody waits for the future now, in whichever way. `tell` is called when that changes."""
        self._waits = _Waits(call, tell)
        self._waiters: list[Any] = _Waiters(self._waits)  # the list to which `wait` and `as_completed` add what they wait with

    def _waiting(self, timeout: float | None) -> contextlib.AbstractContextManager[None]:
        if self.done():
            return contextlib.nullcontext()
        self.check_process()
        polls = timeout is not None and timeout <= 0
        if not polls:
            LoopThread.ensure_elsewhere()  # a callback would wait for what comes on its own thread
        return self._waits.during() if self._waits is not None and not polls else contextlib.nullcontext()

    def running(self) -> bool:
        """Has a worker begun with the call, and not ended it?"""
        return not self.done() and self.call is not None and self.call.has_begun

    def cancel(self) -> bool:
        """Cancel the call, waiting or running. False if it has ended."""
        self.check_process()
        if not super().cancel():
            return False
        if self._first_cancel.acquire(blocking=False):
            self.on_cancel()
            self.set_running_or_notify_cancel()  # wakes `wait` and `as_completed`; a second time would be an error
        return True


class _Waits:
    """How many wait for a future. From any thread."""

    def __init__(self, call: Call, tell: Callable[[], None]) -> None:
        self._call = call
        self._tell = tell
        self._lock = threading.Lock()
        self._count = 0

    def begin(self) -> None:
        """Another waits."""
        self._change(1)

    def end(self) -> None:
        """One has what it waited for, or has given up."""
        self._change(-1)

    @contextlib.contextmanager
    def during(self) -> Iterator[None]:
        """Around a wait."""
        self.begin()
        try:
            yield
        finally:
            self.end()

    def _change(self, by: int) -> None:
        with self._lock:
            self._count += by
            waited = self._count > 0
            if waited != self._call.waited:
                self._call.waited = waited
                self._tell()  # under the lock: what is told last is what holds


class _Waiters(list[Any]):
    """A future's list of those that wait for it beside others."""

    def __init__(self, waits: _Waits) -> None:
        super().__init__()
        self._waits = waits

    def append(self, waiter: Any) -> None:
        super().append(waiter)
        self._waits.begin()

    def remove(self, waiter: Any) -> None:
        super().remove(waiter)
        self._waits.end()
