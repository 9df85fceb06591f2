"""The thread of one executor: on it results are read, futures are told, their callbacks run. So the loop of the pools goes on meanwhile.

It holds nothing while it has nothing to do, so that an executor that is dropped can go. At the interpreter's end all work that was taken
is finished first, as `concurrent.futures` does.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import threading
import traceback
from collections.abc import Callable
from typing import Any, TypeAlias

#: Something to do. Gives what is to be done again in a moment, if nothing else comes.
Task: TypeAlias = Callable[[], Any]

#: That moment (seconds).
_MOMENT = 0.02

_here = threading.local()


class FunctionThread:
    """Started with the first task, and ended by `end`."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """See that it runs.

        Raises:
            RuntimeError: the system has no thread left.
        """
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=_run, args=(self._inbox,), name="snakepit-executor", daemon=True)
                thread.start()  # may fail, where the system has no thread left: the next try begins anew
                self._thread = thread
                _threads.add(self)

    def put(self, task: Task) -> None:
        """Do something there. From any thread; never blocks."""
        self._inbox.put(task)

    def end(self, *, wait: bool) -> None:
        """End it when it has done what it was given."""
        with self._lock:
            thread = self._thread
            _threads.discard(self)
        self._inbox.put(None)
        if wait and thread is not None and thread is not threading.current_thread():
            thread.join()

    @property
    def is_current(self) -> bool:
        """Is this it?"""
        return self._thread is threading.current_thread()

    @staticmethod
    def is_here() -> bool:
        """Is this the thread of an executor?"""
        return getattr(_here, "is_executor_thread", False)


def _run(inbox: queue.SimpleQueue[Task | None]) -> None:
    _here.is_executor_thread = True
    again: Any = None
    while True:
        try:
            task = inbox.get(timeout=_MOMENT if again is not None else None)
        except queue.Empty:
            task = again
        if task is None:
            return
        try:
            again = task()
        except BaseException:  # of a callback that wants to leave, say: the futures of others wait for this thread
            traceback.print_exc()
            again = None
        del task  # nothing is held while there is nothing to do


class Ending:
    """Whose work the interpreter's end waits for."""

    def __init__(self) -> None:
        self.begun = False
        self._waits: dict[object, Callable[[], None]] = {}

    def wait_for(self, owner: object, wait: Callable[[], None]) -> None:
        """`wait` returns when the owner's work has ended."""
        self._waits[owner] = wait

    def forget(self, owner: object) -> None:
        """It has no work."""
        self._waits.pop(owner, None)

    def run(self) -> None:
        """Wait for all, then for the callbacks of their futures."""
        self.begun = True
        for wait in list(self._waits.values()):
            wait()
        for thread in list(_threads):
            thread.end(wait=True)

    def forget_all(self) -> None:
        """In a forked child: nothing of it is here."""
        self._waits.clear()
        _threads.clear()


_threads: set[FunctionThread] = set()
ENDING = Ending()

# Before the other threads are waited for, and before `atexit` closes the pools; as `concurrent.futures` does it.
with contextlib.suppress(RuntimeError):  # imported while the interpreter ends
    getattr(threading, "_register_atexit", atexit.register)(ENDING.run)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=ENDING.forget_all)
