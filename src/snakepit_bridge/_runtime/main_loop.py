"""What the main thread does between calls: wait on a queue, or live in one asyncio loop for the worker's whole life.

An adapter with async tools gets the loop, so that its clients and background tasks survive between calls; any other gets
the plain queue, so that its tools may run loops of their own.
"""

import asyncio
import queue
from typing import Any, Callable, Coroutine, Optional, Set


class QueueLoop:
    """Runs posted functions one after the other."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Optional[Callable[[], None]]] = queue.SimpleQueue()

    def post(self, function: Callable[[], None]) -> None:
        """Run `function` on the main thread, after what was posted before. From any thread."""
        self._queue.put(function)

    def stop(self) -> None:
        """Let `run` return once everything posted has run. From any thread."""
        self._queue.put(None)

    def run(self) -> None:
        """Serve until stopped."""
        while True:
            function = self._queue.get()
            if function is None:
                return
            function()

    def complete(self, result: Any) -> Any:
        """What an adapter's `initialize` or `cleanup` returned."""
        return asyncio.run(result) if asyncio.iscoroutine(result) else result

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> "Optional[asyncio.Task[Any]]":
        """There is no loop to run it on: an adapter without async tools has none."""
        coroutine.close()
        return None

    def close(self) -> None:
        """Nothing to close."""


class AsyncioLoop:
    """Runs posted functions as callbacks of one asyncio loop, and coroutines as its tasks."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self._tasks: Set[asyncio.Task[Any]] = set()

    def post(self, function: Callable[[], None]) -> None:
        """Run `function` on the main thread, after what was posted before. From any thread."""
        self.loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """Let `run` return. From any thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)

    def run(self) -> None:
        """Serve until stopped."""
        self.loop.run_forever()

    def complete(self, result: Any) -> Any:
        """What an adapter's `initialize` or `cleanup` returned; awaited on the loop that its tools will use."""
        return self.loop.run_until_complete(result) if asyncio.iscoroutine(result) else result

    def spawn(self, coroutine: Coroutine[Any, Any, Any]) -> "Optional[asyncio.Task[Any]]":
        """Start a task that lives until it ends or the loop is closed."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def close(self) -> None:
        """Cancel what still runs, the adapter's background tasks too, and close the loop."""
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=1.0))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
