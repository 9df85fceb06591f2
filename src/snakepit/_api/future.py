"""`CallFuture`: what `Pool.submit` gives. Unlike other executors' futures, it can cancel a call that runs."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from snakepit._pool.call import Call, Ended, Failed, Item


class CallFuture(concurrent.futures.Future[Any]):
    """The result of a call to come; its own mailbox.

    `cancel()` succeeds until the call has ended, also while it runs: the tool is interrupted.
    """

    def __init__(self) -> None:
        super().__init__()
        self._first_cancel = threading.Lock()
        #: Facts about the run, once it has ended well: `execution_time_ms`, `worker_id`, for a session `session_id`, `session_moved`.
        self.metadata: dict[str, Any] = {}
        self.on_wait: Callable[[], None] | None = None
        self.on_cancel: Callable[[], None] = lambda: None
        self.call: Call | None = None
        self.check_process: Callable[[], None] = lambda: None

    def put(self, item: Item) -> None:
        """On the loop's thread: something has come."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):  # cancelled in the same moment: that won
            if isinstance(item, Ended):
                self.metadata = item.metadata
                self.set_result(item.value)
            elif isinstance(item, Failed):
                self.set_exception(item.error)

    def result(self, timeout: float | None = None) -> Any:
        """The call's result; raises what it raised, or `TimeoutError` after `timeout` seconds of waiting."""
        if not self.done():
            self._will_wait()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the call raised, or None."""
        if not self.done():
            self._will_wait()
        return super().exception(timeout)

    def _will_wait(self) -> None:
        self.check_process()
        if self.on_wait is not None:
            self.on_wait()

    def running(self) -> bool:
        """Has a worker begun with the call, and not ended it?"""
        return not self.done() and self.call is not None and bool(self.call.worker_id)

    def cancel(self) -> bool:
        """Cancel the call, waiting or running. False if it has ended."""
        self.check_process()
        if not super().cancel():
            return False
        if self._first_cancel.acquire(blocking=False):
            self.on_cancel()
            self.set_running_or_notify_cancel()  # wakes `wait` and `as_completed`; a second time would be an error
        return True
