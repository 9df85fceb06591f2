"""A pool as a `concurrent.futures.Executor`: plain functions, for code that was written for `ProcessPoolExecutor`."""

from __future__ import annotations

import collections
import concurrent.futures
import functools
import itertools
import os
import pickle
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from snakepit._pool.pickling import dumped
from snakepit.errors import ConfigurationError, InvalidParameter
from snakepit_bridge.wire.work import Work

from .function_feed import Feed
from .function_future import TOOL, FunctionFuture
from .function_start import start_of
from .function_thread import FunctionThread
from .loop_thread import LoopThread

if TYPE_CHECKING:
    from .pool import Pool

#: Where the tool is that runs functions.
ADAPTER = "snakepit_bridge.functions"
#: So large a pickle lies beside the one that it is sent in (bytes).
_LARGE = 64 * 1024


class PoolExecutor(concurrent.futures.Executor):
    """What `Pool.as_executor` gives.

    Args:
        close_pool: `shutdown` closes the pool, too.
        cancel_running: cancelling a function that runs interrupts it.
    """

    def __init__(
        self, pool: Pool, initializer: Callable[..., Any] | None, initargs: tuple[Any, ...], *, close_pool: bool, cancel_running: bool
    ) -> None:
        if not pool._config.allow_pickle:
            message = "functions and what they give travel as pickles, which this pool does not allow"
            raise ConfigurationError(message, hint="Pool(..., allow_pickle=True)", field="allow_pickle")
        if isinstance(initargs, (str, bytes)) or not isinstance(initargs, Iterable):
            raise InvalidParameter(f"initargs is {initargs!r}; allowed is a tuple, such as (5,)", field="initargs")
        start = start_of(initializer, tuple(initargs))
        if TOOL not in {spec.name for spec in pool.tool_specs()}:
            hint = f"Pool({ADAPTER!r}, ...), or with others Pool([..., {ADAPTER!r}], ...)"
            raise ConfigurationError("the workers of this pool run tools, and no functions", hint=hint, field="adapter")

        async def tell() -> list[Any]:  # async: it is not to wait for a thread
            return start

        self._pool = pool
        self._close_pool = close_pool
        self._name = f"executor_{uuid.uuid4().hex}"
        pool.register_tool(tell, name=self._name, description="What an executor's functions need before they run.")
        self._feed = Feed(pool, functools.partial(_take_back, pool, self._name), cancel_running=cancel_running)
        weakref.finalize(self, self._feed.drop).atexit = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """Run `fn(*args, **kwargs)` in a worker. Waits where as many wait already as the pool's `queue_size` allows.

        Raises:
            RuntimeError: the executor has been shut down. concurrent.futures.BrokenExecutor: its initializer has failed.
            QueueFull: in a callback of a future, which cannot wait: 100,000 more than that are open.
        """
        return self._submitted(fn, args, kwargs)

    def _submitted(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> FunctionFuture:
        try:
            data, buffers = dumped((function, args, kwargs))
        except Exception as error:  # whatever the objects' own code raises: that is told where the result is asked for
            return self._feed.refused(error)
        beside = [pickle.PickleBuffer(part) for part in buffers]
        return self._feed.add(Work(self._name, pickle.PickleBuffer(data) if len(data) > _LARGE else data, beside))

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        """What `fn` gives for the items, in their order; `chunksize` items go to a worker at once.

        Args:
            buffersize: so many chunks are submitted ahead of who reads the results, and their items taken from the iterables; None: all of
                them, at once. As Python 3.14 has it, on every version.

        Raises:
            ValueError: chunksize or buffersize is less than 1. TypeError: buffersize is no whole number.
            TimeoutError: while it is read, once `timeout` seconds have passed.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        items, end = zip(*iterables, strict=False), None if timeout is None else time.monotonic() + timeout
        chunks = iter(lambda: tuple(itertools.islice(items, chunksize)), ())
        submitted = (self._submitted(fn, chunk, None) for chunk in chunks)
        return self._results(collections.deque(itertools.islice(submitted, buffersize)), submitted, end)

    def _results(self, futures: collections.deque[FunctionFuture], more: Iterator[FunctionFuture], end: float | None) -> Iterator[Any]:
        """What several futures of parts give, in their order, none of which is held; whoever leaves cancels those that wait."""
        try:
            while futures:
                part = futures[0].result(None if end is None else end - time.monotonic())
                futures.popleft()
                futures.extend(itertools.islice(more, 1))
                part.reverse()
                while part:
                    yield part.pop()
        finally:
            self._feed.withdraw(futures)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more functions, and close the pool once those that were submitted have ended, unless it is to stay open.

        Args:
            wait: return when they have; in a callback of a future, which cannot wait for itself, the rest is done elsewhere.
            cancel_futures: cancel those that no worker has begun with.
        """
        if os.getpid() != self._pool._pid:
            return  # a forked child: it is its parent's
        self._feed.shut()
        if cancel_futures:
            self._feed.withdraw(self._feed.open())
        if wait and not LoopThread.is_here() and not FunctionThread.is_here():
            self._end()
        else:
            threading.Thread(target=self._end, name="snakepit-shutdown", daemon=True).start()

    def _end(self) -> None:
        self._feed.wait_ended()
        self._feed.end()
        self._pool.unregister_tool(self._name)
        if self._close_pool:
            self._pool.close()


def _take_back(pool: Pool, name: str) -> None:
    """Offer what an executor offered no more. From a garbage collection, perhaps: not now, and not here."""
    if pool._loop is not None:
        pool._loop.post(pool.unregister_tool, name)


class Executes:
    """`as_executor`, for the pool that has the rest."""

    def as_executor(
        self,
        *,
        initializer: Callable[..., Any] | None = None,
        initargs: tuple[Any, ...] = (),
        close_pool: bool = True,
        cancel_running: bool = False,
    ) -> concurrent.futures.Executor:
        """The pool as a `concurrent.futures.Executor` of plain functions, for code that was written for `ProcessPoolExecutor`.

            with snakepit.Pool("snakepit_bridge.functions", size=4, allow_pickle=True).as_executor() as executor:
                executor.submit(math.factorial, 20).result()

        Functions, arguments, results and errors travel as pickles; what stands in the program's own file is found by the workers, which
        import that as `multiprocessing` does. A worker that dies fails the function that it ran (`WorkerCrashed`), and no other.
        Starts the pool.

        Args:
            initializer: called once in each worker before its first function, with `initargs`; if it raises, all that is open and
                whatever is submitted fails with `concurrent.futures.BrokenExecutor`.
            cancel_running: cancelling a function that runs interrupts it, too: by `cancel()` of its future, by a `map` that is left early,
                or by a task of asyncio that waits for it. Otherwise it runs on, and its future cannot be cancelled.
            close_pool: the executor's `shutdown`, and the end of its `with` block, close the pool.

        Raises:
            InvalidParameter: the initializer is no function, or cannot be pickled.
            ConfigurationError: the pool has no `allow_pickle=True`, or not `"snakepit_bridge.functions"` among its adapters.
        """
        return PoolExecutor(self, initializer, initargs, close_pool=close_pool, cancel_running=cancel_running)  # type: ignore[arg-type]
