"""A pool as a `concurrent.futures.Executor`: plain functions, for code that was written for `ProcessPoolExecutor`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import pickle
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from snakepit.errors import ConfigurationError, InvalidParameter

from .future import CallFuture

if TYPE_CHECKING:
    from .pool import Pool

#: The tool that runs functions, and where it is.
TOOL, ADAPTER = "call_function", "snakepit_bridge.functions"


class RemoteTraceback(Exception):
    """The traceback of an error in a worker, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class FunctionFuture(concurrent.futures.Future[Any]):
    """The result of a function to come. Unlike other executors' futures, it can be cancelled while the function runs.

    What arrives is read as a pickle in the thread that asks for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._reading = threading.Lock()
        self._read: tuple[Any, BaseException | None] | None = None
        self._call: CallFuture | None = None

    def follow(self, call: CallFuture) -> None:
        """Be done when a call is."""
        self._call = call
        call.add_done_callback(self._done_with)

    def result(self, timeout: float | None = None) -> Any:
        """What the function gave; raises what it raised, or `TimeoutError` after `timeout` seconds of waiting."""
        value, error = self._outcome(super().result(timeout))
        if error is not None:
            raise error
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the function raised, or why it could not be run; None if it gave something."""
        error = super().exception(timeout)
        return error if error is not None else self._outcome(super().result())[1]

    def running(self) -> bool:
        """Has a worker begun with it, and not ended?"""
        call = self._call
        return not self.done() and call is not None and call.running()

    def cancel(self) -> bool:
        """Cancel it, waiting or running. False if it has ended."""
        call = self._call
        if call is not None:
            return call.cancel() or self.cancelled()
        return super().cancel()

    def _done_with(self, call: concurrent.futures.Future[Any]) -> None:
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            if call.cancelled():
                super().cancel()
                self.set_running_or_notify_cancel()
            elif (error := call.exception()) is not None:
                self.set_exception(error)
            else:
                self.set_result(call.result())
        self._call = None

    def _outcome(self, raw: Any) -> tuple[Any, BaseException | None]:
        with self._reading:
            if self._read is None:
                self._read = _read(raw)
            return self._read


class PoolExecutor(concurrent.futures.Executor):
    """What `Pool.as_executor` gives.

    Args:
        close_pool: `shutdown` closes the pool, too.
    """

    def __init__(self, pool: Pool, initializer: Callable[..., Any] | None, initargs: tuple[Any, ...], *, close_pool: bool) -> None:
        if not pool._config.allow_pickle:
            message = "functions and what they give travel as pickles, which this pool does not allow"
            raise ConfigurationError(message, hint="Pool(..., allow_pickle=True)", field="allow_pickle")
        if initializer is not None and not callable(initializer):
            raise InvalidParameter(f"initializer is {initializer!r}; allowed is a function, or None", field="initializer")
        if TOOL not in {spec.name for spec in pool.tool_specs()}:
            hint = f"Pool({ADAPTER!r}, ...), or with others Pool([..., {ADAPTER!r}], ...)"
            raise ConfigurationError("the workers of this pool run tools, and no functions", hint=hint, field="adapter")
        self._pool = pool
        self._close_pool = close_pool
        self._before = uuid.uuid4().hex, initializer, tuple(initargs)
        # As many as the pool takes; whoever submits more waits.
        self._room = threading.BoundedSemaphore(pool._config.size + pool._config.queue_size)
        self._lock = threading.Lock()
        self._open: dict[FunctionFuture, None] = {}
        self._shut = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> concurrent.futures.Future[Any]:
        """Run `fn(*args, **kwargs)` in a worker. Waits where as many wait already as the pool's `queue_size` allows.

        Raises:
            RuntimeError: the executor has been shut down.
        """
        return self._submitted(fn, args, kwargs)

    def _submitted(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None) -> FunctionFuture:
        future = FunctionFuture()
        self._room.acquire()
        with self._lock:
            if self._shut:
                self._room.release()
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._open[future] = None
        future.add_done_callback(self._ended)
        try:
            future.follow(self._pool.submit(TOOL, {"work": (*self._before, function, args, kwargs)}))
        except InvalidParameter as error:  # it cannot be pickled: that is told where the result is asked for
            cause = error.__cause__
            future.set_exception(cause if cause is not None else error)
        except BaseException as error:
            future.set_exception(error)
            raise
        return future

    def map(self, fn: Callable[..., Any], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1) -> Iterator[Any]:
        """What `fn` gives for the items, in their order; `chunksize` items go to a worker at once.

        Raises:
            ValueError: chunksize is less than 1. TimeoutError: while it is read, once `timeout` seconds have passed.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        items, end = zip(*iterables, strict=False), None if timeout is None else time.monotonic() + timeout
        chunks = iter(lambda: tuple(itertools.islice(items, chunksize)), ())
        return _results([self._submitted(fn, chunk, None) for chunk in chunks], end)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more functions, and close the pool once those that were submitted have ended, unless it is to stay open.

        Args:
            wait: return when they have. cancel_futures: cancel those that no worker has begun with.
        """
        with self._lock:
            self._shut = True
            waiting = [future for future in self._open if not future.running()] if cancel_futures else []
            left = set(self._open)
        for future in waiting:
            future.cancel()
        if wait:
            concurrent.futures.wait(left)
            if self._close_pool:
                self._pool.close()
        elif self._close_pool:
            threading.Thread(target=self.shutdown, name="snakepit-shutdown", daemon=True).start()

    def _ended(self, future: concurrent.futures.Future[Any]) -> None:
        with self._lock:
            self._open.pop(future, None)  # type: ignore[call-overload]
        self._room.release()


def _results(futures: list[FunctionFuture], end: float | None) -> Iterator[Any]:
    """What several futures of parts give, in their order; whoever leaves cancels the rest."""
    futures.reverse()
    try:
        while futures:
            yield from futures.pop().result(None if end is None else end - time.monotonic())
    finally:
        for future in futures:
            future.cancel()


def _read(raw: Any) -> tuple[Any, BaseException | None]:
    kind, data, buffers, text = raw
    if kind == "broken":
        return None, concurrent.futures.BrokenExecutor(f"the initializer failed in the worker:\n{data}")
    try:
        value = pickle.loads(data, buffers=[bytearray(part) for part in buffers])  # noqa: S301 - the pool allows it, and its worker has made it
    except Exception as error:  # whatever reading it runs raises
        return None, error
    if kind == "error":
        value.__cause__ = RemoteTraceback(text)
        return None, value
    return value, None


class Executes:
    """`as_executor`, for the pool that has the rest."""

    def as_executor(
        self, *, initializer: Callable[..., Any] | None = None, initargs: tuple[Any, ...] = (), close_pool: bool = True
    ) -> concurrent.futures.Executor:
        """The pool as a `concurrent.futures.Executor` of plain functions, for code that was written for `ProcessPoolExecutor`.

            with snakepit.Pool("snakepit_bridge.functions", size=4, allow_pickle=True).as_executor() as executor:
                executor.submit(math.factorial, 20).result()

        Functions, arguments, results and errors travel as pickles. A worker that dies fails the function that it ran (`WorkerCrashed`), and
        no other; `cancel()` of a future also ends a function that runs. Starts the pool.

        Args:
            initializer: called once in each worker before its first function, with `initargs`; if it raises, what the worker is given fails
                with `concurrent.futures.BrokenExecutor`.
            close_pool: the executor's `shutdown`, and the end of its `with` block, close the pool.

        Raises:
            ConfigurationError: the pool has no `allow_pickle=True`, or not `"snakepit_bridge.functions"` among its adapters.
        """
        return PoolExecutor(self, initializer, initargs, close_pool=close_pool)  # type: ignore[arg-type]
