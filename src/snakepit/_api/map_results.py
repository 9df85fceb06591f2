"""`MapResults`: what `Pool.map` and `Pool.stream_map` give. Whole batches cross the thread border, in both directions."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from snakepit._pool.bundle import News
from snakepit._pool.call import Call
from snakepit._pool.engine import Engine
from snakepit._pool.failures import closed
from snakepit.config import PoolConfig

from .loop_thread import LoopThread
from .map_reader import MapReader, Request, never_submitted, submit_all
from .mapping import MapResult, itself
from .options import CallOptions

T = TypeVar("T")


class MapResults(MapReader[T]):
    """The results of many calls, for `for`. Its calls begin at once, as many as its window allows, and go on while it is read.

    Breaking out of the loop, dropping it, Ctrl-C or `close()` cancels those that run or wait.
    """

    def __init__(self, engine: Engine, loop: LoopThread, request: Request[T]) -> None:
        self._loop = loop
        self._reading = threading.RLock()  # several threads may share one reader: each result goes to one of them
        self._mailbox: queue.SimpleQueue[News] = queue.SimpleQueue()
        super().__init__(engine, request, self._mailbox.put)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        self._engine.check_process()  # first: in a forked child nobody lets the lock go that another thread held
        with self._reading:
            while not self._closed:
                for result in self._current:
                    return self._give(result)
                if not self._goes_on():
                    break
                try:
                    self._receive()
                except BaseException:  # Ctrl-C: the calls would run on
                    self.close()
                    raise
        raise StopIteration

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def _begin(self, calls: list[Call]) -> None:
        if not self._loop.post(submit_all, self._engine, self._job, calls):  # the pool was closed in this very moment
            self._closed = True
            never_submitted(calls)
            raise closed()

    def _receive(self) -> None:
        """Wait for news, unless some are there or there are more items to take, and take all there is."""
        calls, mailbox = self._calls, self._mailbox
        if calls.has_results:
            return
        with contextlib.suppress(queue.Empty):
            calls.ended(mailbox.get(timeout=calls.wait) if calls.has_room else mailbox.get())
            while True:
                calls.ended(mailbox.get_nowait())
        self._current = calls.take()


class Maps:
    """`map` and `stream_map`, for the pool that has the rest."""

    _config: PoolConfig
    _ready: Callable[[], tuple[Engine, LoopThread]]
    _check_session: Callable[[CallOptions], None]

    def map(
        self,
        tool: str,
        items: Iterable[Any],
        *,
        window: int | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> MapResults[Any]:
        """Run a tool for each item; its results, in the order of the items, as they are asked for.

            for price in pool.map("price", articles): ...

        Calls begin at once and run ahead of the reader, at most `window` of them: `items` may be endless, and is gone through only
        so far. The first that fails is raised where its result would be, and cancels the others; so is what `items` itself raises.
        `details["item"]` of the error is the number of its item.

        Args:
            tool: its name.
            items: for each call its arguments by name, a dict; or a value for the tool's first parameter, if that is no dict.
            window: calls that may be ahead of the reader, at most `queue_size`; None: 64, or four for each worker if that is more.
            timeout: seconds from the moment that a call is submitted, up to `window` calls before its turn; None: no deadline.
            **options: session_id, affinity, binary_parameters, retry; see `CallOptions`.

        Raises:
            UnknownTool, WrongCallStyle, InvalidParameter: at once, where it is about the tool, `items`, `window` or `timeout`; for an item
                that is no arguments of the tool, in its place.
        """
        return self._mapped(Request(self._config, tool, items, window, timeout, options, ordered=True, given=MapResult.get))

    def stream_map(
        self,
        tool: str,
        items: Iterable[Any],
        *,
        ordered: bool = False,
        window: int | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> MapResults[MapResult]:
        """`map`, with a `MapResult` for each item as soon as it is there: its `number`, and its `value` or its `error`.

        One that fails ends nothing, nor does an item that is no arguments of the tool: the others go on. Where the calls are of unequal
        length this is faster than `map`, whose window may be full of results that wait for one before them.

        Raises:
            PoolClosed: the pool is closed meanwhile. What `items` raises, after all results.

        Args:
            ordered: in the order of the items.
        """
        return self._mapped(Request(self._config, tool, items, window, timeout, options, ordered=ordered, given=itself))

    def _mapped(self, request: Request[T]) -> MapResults[T]:
        engine, loop = self._ready()
        self._check_session(request.options)
        return MapResults(engine, loop, request)
