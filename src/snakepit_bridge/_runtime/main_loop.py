"""What the main thread does between calls: wait on a queue, or live in one asyncio loop for the worker's whole life.

An adapter with async tools gets the loop, so that its clients and background tasks survive between calls; any other gets
the plain queue, so that its tools may run loops of their own.
"""

import collections
import collections.abc
import contextlib
import queue
import sys
import traceback
from typing import TYPE_CHECKING, Any, Callable, Coroutine, Deque, Optional, Set

from .fair_selector import FairSelector

if TYPE_CHECKING:
    import asyncio

_MAX_STRAYS = 100


class QueueLoop:
    """Runs posted functions one after the other."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Optional[Callable[[], None]]] = queue.SimpleQueue()
        self._next: Optional[Callable[[], None]] = None

    def post(self, function: Callable[[], Any]) -> None:
        """Run `function` on the main thread, after what was posted before. From any thread."""
        self._queue.put(function)

    def next(self, function: Callable[[], Any]) -> None:
        """Run `function` as soon as what runs now has returned, before what was posted. On the main thread."""
        self._next = function

    def stop(self) -> None:
        """Let `run` return once everything posted has run. From any thread."""
        self._queue.put(None)

    def run(self) -> None:
        """Serve until stopped."""
        while True:
            try:
                function = self._queue.get()
            except Exception:
                _say_stray()
                continue
            if function is None:
                return
            function()
            if self._next is not None:
                function, self._next = self._next, None
                function()
            function = None  # else the last call, and its session's state, would stay alive until the next comes

    def complete(self, result: Any) -> Any:
        """What an adapter's `initialize` or `cleanup` returned."""
        if not isinstance(result, collections.abc.Coroutine):
            return result
        import asyncio

        return asyncio.run(result)

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> "Optional[asyncio.Task[Any]]":
        """There is no loop to run it on: an adapter without async tools has none."""
        coroutine.close()
        return None

    def close(self) -> None:
        """Nothing to close."""


class AsyncioLoop:
    """Runs posted functions as callbacks of one asyncio loop, and coroutines as its tasks."""

    def __init__(self) -> None:
        import asyncio

        self.loop = asyncio.new_event_loop()
        if type(self.loop) is asyncio.SelectorEventLoop:  # else somebody has chosen another
            self.loop.close()
            self.loop = asyncio.SelectorEventLoop(FairSelector())
        asyncio.set_event_loop(self.loop)
        self._tasks: Set[asyncio.Task[Any]] = set()
        self._stopped = False
        self._posted: Deque[Callable[[], Any]] = collections.deque()
        self._waking = False

    def post(self, function: Callable[[], Any]) -> None:
        """Run `function` on the main thread, after what was posted before. From any thread.

        Wakes the loop once for all that piles up: each wake-up costs the carrier's thread its turn with the interpreter, which
        it gets back only a switch interval later while tools compute.
        """
        self._posted.append(function)
        if not self._waking:
            self._waking = True
            with contextlib.suppress(RuntimeError):  # closed: there is nothing left that could matter
                self.loop.call_soon_threadsafe(self._take_posted)

    def _take_posted(self) -> None:
        self._waking = False  # first: what is appended from here on wakes again
        while self._posted:
            self.loop.call_soon(self._posted.popleft())

    def next(self, function: Callable[[], Any]) -> None:
        """Run `function` in the loop's next turn. On the main thread."""
        self.loop.call_soon(function)

    def stop(self) -> None:
        """Let `run` return. From any thread."""
        self._stopped = True
        self.loop.call_soon_threadsafe(self.loop.stop)

    def run(self) -> None:
        """Serve until stopped: not by a tool that stops the loop, nor by a task of a tool that calls `sys.exit()`."""
        strays = 0
        while not self._stopped:
            try:
                self.loop.run_forever()
            except (Exception, SystemExit):
                strays += 1
                if strays > _MAX_STRAYS:  # not a tool's doing: the loop itself is broken
                    raise
                _say_stray()

    def complete(self, result: Any) -> Any:
        """What an adapter's `initialize` or `cleanup` returned; awaited on the loop that its tools will use."""
        return self.loop.run_until_complete(result) if isinstance(result, collections.abc.Coroutine) else result

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> "Optional[asyncio.Task[Any]]":
        """Start a task that lives until it ends or the loop is closed."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Cancel what still runs, the adapter's background tasks too, and close the loop."""
        import asyncio

        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()


def _say_stray() -> None:
    """Something was raised while no call was there to get it: by a tool's signal handler, or by a task it left behind."""
    print("snakepit: raised between calls; the worker goes on", file=sys.stderr)
    traceback.print_exc()
