"""Adapters whose tools run on several threads at once: `ThreadSafeAdapter` and `thread_safe_method`. Standard library alone.

    class Counter(ThreadSafeAdapter):
        def initialize(self):
            self.total = 0

        @tool
        @thread_safe_method  # one call at a time in here
        def add(self, n: int) -> int:
            self.total += n
            return self.total

        @tool
        def work(self, data: list) -> int:
            buffer = self.get_thread_local("buffer", list)  # one per thread, kept from call to call
            result = compute(data, buffer)
            with self.acquire_lock():  # the same lock
                self.total += result
            return result

For pools with `profile="thread"`; elsewhere it all works too, and costs next to nothing.
"""

import functools
import inspect
import threading
from typing import Any, Callable, Generator, Optional, Type, TypeVar, cast

from .base_adapter import BaseAdapter
from .call_context import _current

__all__ = ["ThreadSafeAdapter", "thread_safe_method"]

F = TypeVar("F", bound=Callable[..., Any])
A = TypeVar("A", bound="ThreadSafeAdapter")

#: A call that waits for the lock looks this often whether it has been cancelled (seconds).
LOOK_SECONDS = 0.05

_RLock: Any = type(threading.RLock())


class AdapterLock(_RLock):  # type: ignore[misc]
    """A lock that its own thread can take again; for `with`. A call that waits for it raises `Cancelled` once it is cancelled.

    Leaving it is the plain lock's own work, done in one step that nothing can interrupt.
    """

    def __enter__(self) -> bool:
        self.take(for_call=True)
        return True

    def take(self, *, for_call: bool) -> None:
        """Get it, to `release` it later.

        Args:
            for_call: stop waiting when the call that runs here is cancelled; else only an interruption ends it.
        """
        first = not self._is_owned()
        try:
            while not self.acquire(timeout=LOOK_SECONDS):
                call = _current.get(None) if for_call else None
                if call is not None:
                    call.check()
        except BaseException:
            if first and self._is_owned():  # interrupted between getting it and saying so
                self.release()
            raise


class ThreadSafeAdapter(BaseAdapter):
    """An adapter that says that it is thread-safe, with a lock and with state of each thread's own.

    `__init__`, `initialize` and `cleanup` run once, on one thread. Tools run on several: what they share has to be guarded. What
    belongs to the call (`self.session`, `self.context`, `self.progress`) is each call's own anyway.
    """

    thread_safe = True

    _lock: AdapterLock
    _local: threading.local

    def __new__(cls: Type[A], *_args: Any, **_kwargs: Any) -> A:
        """Here, because a subclass's `__init__` need not call this one's."""
        self = super().__new__(cls)
        self._lock = AdapterLock()
        self._local = threading.local()
        return self

    def acquire_lock(self) -> AdapterLock:
        """The adapter's one lock, for `with self.acquire_lock():`. A thread that has it gets it again; a cancelled call stops waiting."""
        return self._lock

    @property
    def thread_local(self) -> threading.local:
        """This thread's own state: attributes that other threads do not see. Threads outlive calls, so it is kept from call to call."""
        return self._local

    def get_thread_local(self, key: str, default_factory: Optional[Callable[[], Any]] = None) -> Any:
        """What this thread keeps under a name.

        Args:
            key: the name; an attribute of `thread_local`.
            default_factory: makes it, once per thread, where there is nothing yet; it is then kept. None: the answer is None.
        """
        if default_factory is not None and not callable(default_factory):
            raise TypeError("default_factory is %r; allowed is a function without arguments, such as list, or None" % (default_factory,))
        state = self._local.__dict__
        if key not in state and default_factory is not None:
            state[key] = default_factory()
        return state.get(key)

    def set_thread_local(self, key: str, value: Any) -> None:
        """Keep a value for this thread."""
        self._local.__dict__[key] = value

    def clear_thread_local(self, key: Optional[str] = None) -> None:
        """Forget what this thread keeps under a name; None: everything. What other threads keep stays."""
        if key is None:
            self._local.__dict__.clear()
        else:
            self._local.__dict__.pop(key, None)


def thread_safe_method(method: F) -> F:
    """Let one thread at a time run a method of a `ThreadSafeAdapter`: it holds the adapter's lock. Above or below `@tool`.

    A generator holds it while it computes its next item, and not while that is on its way: a caller who reads slowly must not
    keep the other calls waiting. Its `finally` waits for the lock too, but no longer than a cancelled call may take. Whatever has
    to stay as it is across a `yield` needs `with self.acquire_lock():` around it.

    Raises:
        TypeError: it is `async def`, a property, or the like.
    """
    if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method):
        raise TypeError(
            "@thread_safe_method: %s is `async def`, and async tools of a worker take turns on one thread, at each `await`: "
            "use an asyncio.Lock where one must not come between" % method.__qualname__
        )
    if not inspect.isfunction(method):
        raise TypeError("@thread_safe_method is for a plain method, not for a %s: put it directly above a def" % type(method).__name__)
    return cast("F", (_locked_generator if inspect.isgeneratorfunction(method) else _locked)(method))


def _locked(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _lock_of(self, method):
            return method(self, *args, **kwargs)

    return run


def _locked_generator(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (yield from _steps(_lock_of(self, method), method(self, *args, **kwargs)))

    return run


def _steps(lock: AdapterLock, items: "Generator[Any, Any, Any]") -> "Generator[Any, Any, Any]":
    """What a generator gives, each step under the lock."""
    step, given = items.send, None
    try:
        while True:
            with lock:
                try:
                    item = step(given)
                except StopIteration as stop:
                    return stop.value
            try:
                step, given = items.send, (yield item)
            except GeneratorExit:
                raise
            except BaseException as error:
                step, given = items.throw, cast("Any", error)
    finally:
        _close(lock, items)


def _close(lock: AdapterLock, items: "Generator[Any, Any, Any]") -> None:
    """End a generator before its end, under the lock where code of it may run; as long as that is bearable."""
    if inspect.getgeneratorstate(items) != inspect.GEN_SUSPENDED:
        items.close()
        return
    try:
        lock.take(for_call=False)  # it is cancelled already, as a rule
    except BaseException:  # its time to clean up is nearly over: better without the lock than at the cost of the worker
        items.close()
        raise
    try:
        items.close()
    finally:
        lock.release()


def _lock_of(adapter: Any, method: Callable[..., Any]) -> AdapterLock:
    if not isinstance(adapter, ThreadSafeAdapter):
        raise TypeError(
            "@thread_safe_method: %s belongs to a %s, which has no lock: derive the class from ThreadSafeAdapter"
            % (method.__qualname__, type(adapter).__name__)
        )
    return adapter._lock
