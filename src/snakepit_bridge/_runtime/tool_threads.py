"""The threads that tools run on in the thread profile: daemons, started as calls come, at most as many as calls may run at once.

The executor posts calls here; a coroutine on the worker's loop has the sync part of its call run here and awaits it.
"""

import contextvars
import queue
import sys
import threading
import time
import traceback
from typing import Any, Callable, List, Optional

#: How long `stop` waits for threads that have nothing to do any more (seconds, together).
STOP_SECONDS = 1.0


class ToolThreads:
    """A bounded pool of threads.

    Args:
        count: how many at most.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._queue: queue.SimpleQueue[Optional[Callable[[], Any]]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)  # one for each thread that waits and for which no function is on its way
        self._starting = threading.Lock()
        self._threads: List[threading.Thread] = []

    def post(self, function: Callable[[], Any]) -> None:
        """Run `function` on a thread, as soon as one is free, in a context of its own. From any thread."""
        self._queue.put(function)
        with self._starting:
            if len(self._threads) < self._count and not self._idle.acquire(blocking=False):
                name = "snakepit-tool-%d" % (len(self._threads) + 1)
                self._threads.append(threading.Thread(target=self._serve, name=name, daemon=True))
                self._threads[-1].start()

    async def run(self, function: Callable[[], Any]) -> "Job":
        """Run `function` on a thread, in the context of this task; the job when it is done."""
        job = Job(function)
        self.post(job)
        await job.done
        return job

    def stop(self) -> None:
        """Let the threads end once everything posted has run; waits for them, but not for long."""
        for _ in self._threads:
            self._queue.put(None)
        until = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _serve(self) -> None:
        while True:
            function = self._queue.get()
            if function is None:
                return
            try:
                # What a tool leaves in context variables is not the next call's.
                contextvars.Context().run(function)
            except BaseException:  # calls tell their errors to their callers; one thread less would keep others waiting
                print("snakepit: raised outside of a call; the worker goes on", file=sys.stderr)
                traceback.print_exc()
            function = None  # else the last call, and its session's state, would stay alive until the next comes
            self._idle.release()


class Job:
    """A function on its way to a thread, and what became of it, for the task that waits."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._context = contextvars.copy_context()
        import asyncio

        self._loop = asyncio.get_event_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._value: Any = None
        self._error: Optional[BaseException] = None

    def __call__(self) -> None:
        """On the thread."""
        try:
            self._value = self._context.run(self._function)
        except BaseException as error:
            self._error = error
        self._loop.call_soon_threadsafe(self._settle)

    def result(self) -> Any:
        """What the function returned or raised. Not through a coroutine or a future: they change some exceptions, as StopIteration."""
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._value

    def _settle(self) -> None:
        if not self.done.done():
            self.done.set_result(None)
