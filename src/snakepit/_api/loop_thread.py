"""The loop thread behind the sync face: one daemon thread per process, shared by all pools, ended with the last of them.

Daemon and ended by `atexit`: a thread that is not a daemon would keep the interpreter from ever ending. A forked child
has no such thread and starts with none.

A signal handler may close a pool at any line of these: it runs on a thread that it has interrupted, whose locks it must not wait for.
"""

from __future__ import annotations

import asyncio
import atexit
import collections
import concurrent.futures
import contextlib
import contextvars
import functools
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from snakepit._pool.host_tools.context import CURRENT
from snakepit.errors import PoolError

from .loops import new_loop

T = TypeVar("T")

#: `_here.is_loop_thread`: this is a thread on which the loop of sync pools runs.
_here = threading.local()

#: How long the interpreter's end waits for pools that were never closed (seconds).
_EXIT_SECONDS = 15.0


class LoopThread:
    """Runs one event loop on a daemon thread. `acquire` it, `release` it; the last release ends it."""

    _lock: ClassVar = threading.RLock()
    _shared: ClassVar[LoopThread | None] = None

    def __init__(self) -> None:
        self.loop = new_loop()
        self._holders = 0
        self._posted: collections.deque[Callable[[], object]] = collections.deque()
        self._ended = False  # what is posted before is still run, what comes after is refused
        self._finalizers: list[weakref.finalize[..., Any]] = []
        self._closing: set[concurrent.futures.Future[Any]] = set()
        self._thread = threading.Thread(target=self._run, name="snakepit-loop", daemon=True)
        self._thread.start()

    @classmethod
    def acquire(cls) -> LoopThread:
        """The process's loop thread; started if there is none."""
        with cls._lock:
            shared = cls._shared or LoopThread()
            cls._shared = shared
            shared._holders += 1
            return shared

    def release(self) -> None:
        """One pool needs it no longer."""
        with LoopThread._lock:
            self._holders -= 1
            last = self._holders == 0
            if last and LoopThread._shared is self:
                LoopThread._shared = None
        if last:
            with contextlib.suppress(RuntimeError):  # closed: a handler came after the lines above, and was the last too
                self.loop.call_soon_threadsafe(self.loop.stop)
            if threading.current_thread() is not self._thread:
                self._thread.join()

    @staticmethod
    def is_here() -> bool:
        """Is this the loop's own thread?"""
        return getattr(_here, "is_loop_thread", False)

    @staticmethod
    def ensure_elsewhere() -> None:
        """Refuse a blocking call on the loop's own thread, where its answer could never arrive.

        Raises:
            PoolError: the caller runs there (code `would_deadlock`).
        """
        if LoopThread.is_here():
            hint = "callbacks of futures run there: hand the work to another thread, or use AsyncPool"
            if CURRENT.get() is not None:
                hint = "async host tools run there: make the host tool a plain def, which runs on a thread and may wait; or use AsyncPool"
            raise PoolError(
                "a blocking call was made on the pool's own loop thread, where its answer could never arrive",
                code="would_deadlock",
                hint=hint,
            )

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the loop and wait for it. Whatever interrupts the wait cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def post(self, function: Callable[..., object], *args: Any) -> bool:
        """Run a function on the loop's thread, soon. False if the loop has ended: it will not be run."""
        item = functools.partial(contextvars.copy_context().run, function, *args)  # another's callback may run it
        self._posted.append(item)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self.loop.call_soon_threadsafe(self._run_posted)
        if not self._ended:  # after the line above, as `_finish` does it the other way round: one of them sees the other
            return True
        try:
            self._posted.remove(item)
        except ValueError:
            return True  # it has been run
        return False

    def _run_posted(self) -> None:
        for _ in range(len(self._posted)):
            try:
                item = self._posted.popleft()
            except IndexError:  # refused meanwhile
                return
            item()

    def add_finalizer(self, finalizer: weakref.finalize[..., Any]) -> None:
        """What closes a pool that is dropped; at the interpreter's end it is called in time."""
        self._finalizers = [item for item in self._finalizers if item.alive] + [finalizer]

    def close_later(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Close a pool that was dropped without being closed, then release; the interpreter's end waits for it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        self._closing.add(future)

        def closed(done: concurrent.futures.Future[Any]) -> None:
            self._closing.discard(done)
            self.release()

        future.add_done_callback(closed)

    def wait_closed(self) -> None:
        """Close the pools that are still open, and wait until every one has closed (bounded)."""
        for finalizer in self._finalizers:
            finalizer()
        concurrent.futures.wait(list(self._closing), timeout=_EXIT_SECONDS)

    def _run(self) -> None:
        _here.is_loop_thread = True
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.run_until_complete(self._finish())
            asyncio.set_event_loop(None)
            self.loop.close()

    async def _finish(self) -> None:
        await self.loop.shutdown_asyncgens()
        self._ended = True
        for _ in range(len(self._posted)):  # so often: should one raise, the others are run all the same
            self.loop.call_soon(self._run_posted)
        await asyncio.sleep(0)


def _at_exit() -> None:
    shared = LoopThread._shared
    if shared is not None:
        shared.wait_closed()


def _after_fork_in_child() -> None:
    LoopThread._lock = threading.RLock()  # another thread of the parent may have held it
    LoopThread._shared = None


# Does not wait for weakref's own turn to call the finalizers: whoever used one before us has put that behind this one.
atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
