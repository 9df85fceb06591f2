"""`MapResults`: what `Pool.map` and `Pool.stream_map` give. Whole batches cross the thread border, in both directions."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack

from snakepit._pool.call import Call, Failed, Item
from snakepit._pool.engine import Engine
from snakepit._pool.failures import closed
from snakepit._pool.tools import ToolSpec
from snakepit.config import PoolConfig

from .arguments import call_timeout, called
from .loop_thread import LoopThread
from .mapping import Calls, MapResult, items_of, itself, window_of
from .options import CallOptions, prepare

T = TypeVar("T")

Mailbox = queue.SimpleQueue[tuple[int, Item]]


class Slot:
    """The mailbox of one call: tells its number beside what comes."""

    __slots__ = ("_index", "_put")

    def __init__(self, put: Callable[[tuple[int, Item]], object], index: int) -> None:
        self._put = put
        self._index = index

    def put(self, item: Item) -> None:
        """On the loop's thread."""
        self._put((self._index, item))


class MapResults(Generic[T]):
    """The results of many calls, for `for`. Its calls begin at once, as many as its window allows, and go on while it is read.

    Breaking out of the loop, dropping it, Ctrl-C or `close()` cancels those that run or wait.
    """

    def __init__(
        self,
        engine: Engine,
        loop: LoopThread,
        spec: ToolSpec,
        items: Iterable[Any],
        make: Callable[[Any, Mapping[str, Any]], Call],
        window: int,
        *,
        ordered: bool,
        given: Callable[[MapResult], T],
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._tool = spec.name
        self._given = given
        self._mailbox: Mailbox = queue.SimpleQueue()
        put = self._mailbox.put
        self._calls = Calls(items, spec, lambda index, args: make(Slot(put, index), args), window, ordered=ordered)
        self._current: Iterator[MapResult] = iter(())
        self._closed = False
        self._submit()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while not self._closed:
            for result in self._current:
                try:
                    return self._given(result)
                except BaseException:  # the call has failed: the others are of no use any more
                    self.close()
                    raise
            self._submit()
            if self._calls.done:
                self._closed = True
                break
            self._engine.check_process()
            try:
                self._receive()
            except BaseException:  # Ctrl-C: the calls would run on
                self.close()
                raise
        raise StopIteration

    def close(self) -> None:
        """Cancel what has not ended. Harmless when all has."""
        if not self._closed:
            self._closed = True
            self._current = iter(())
            for call in self._calls.open:
                self._engine.cancel_from_anywhere(call, "its reader left the map")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_closed"):
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._tool!r}, {'ended' if self._closed else f'{len(self._calls.open)} calls open'}>"

    def _submit(self) -> None:
        try:
            calls = self._calls.due()
        except BaseException:  # an item, or what gives them: no call of it is left behind
            self.close()
            raise
        if calls and not self._loop.post(_submit_all, self._engine, calls):  # the pool was closed in this very moment
            self._closed = True
            for call in calls:
                call.finish(Failed(closed()))
            raise closed()

    def _receive(self) -> None:
        """Wait for news, and take all there is."""
        calls, mailbox = self._calls, self._mailbox
        calls.ended(*mailbox.get())
        with contextlib.suppress(queue.Empty):
            while True:
                calls.ended(*mailbox.get_nowait())
        self._current = calls.take()


def _submit_all(engine: Engine, calls: list[Call]) -> None:
    for call in calls:
        engine.submit(call)


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
        so far. The first that fails is raised where its result would be, and cancels the others.

        Args:
            tool: its name.
            items: for each call its arguments by name, a dict; or a value for the tool's first parameter, if that is no dict.
            window: calls that may be ahead of the reader; None: 64, or four for each worker if that is more.
            timeout: seconds from the moment that a call is submitted; None: no deadline.
            **options: session_id, affinity, binary_parameters, retry; see `CallOptions`.

        Raises:
            UnknownTool, InvalidParameter, WrongCallStyle: at once, for the first items; for later ones while reading.
        """
        return self._mapped(tool, items, window, timeout, options, ordered=True, given=MapResult.get)

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

        One that fails ends nothing: the others go on.

        Args:
            ordered: in the order of the items.
        """
        return self._mapped(tool, items, window, timeout, options, ordered=ordered, given=itself)

    def _mapped(
        self,
        tool: str,
        items: Iterable[Any],
        window: int | None,
        timeout: float | None,
        options: CallOptions,
        *,
        ordered: bool,
        given: Callable[[MapResult], T],
    ) -> MapResults[T]:
        seconds, width = call_timeout("timeout", timeout), window_of(window, self._config)
        engine, loop = self._ready()
        self._check_session(options)
        spec, config = called(engine.tools, tool), self._config

        def make(mailbox: Slot, args: Mapping[str, Any]) -> Call:
            sent, extra = prepare(engine.tools, config, tool, args, options, streaming=False)
            return engine.new_call(tool, sent, mailbox, streaming=False, timeout=seconds, **extra)

        return MapResults(engine, loop, spec, items_of(items), make, width, ordered=ordered, given=given)
