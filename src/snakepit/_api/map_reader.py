"""What the readers of both faces share that `map` and `stream_map` give: which calls it is about, how it is left, how it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from snakepit._pool.call import Call, Item
from snakepit._pool.engine import Engine
from snakepit.config import PoolConfig

from .arguments import call_timeout, called
from .mapping import Calls, MapResult, items_of, window_of
from .options import CallOptions, prepare

T = TypeVar("T")


class Request(Generic[T]):
    """What one `map` is asked for, checked as far as that goes before the pool is there.

    Args:
        ordered: outcomes are given in the order of the items. given: what the reader gets of one; may raise.

    Raises:
        InvalidParameter: the timeout, the window or the items are nothing of the kind.
    """

    def __init__(
        self,
        config: PoolConfig,
        tool: str,
        items: Iterable[Any],
        window: int | None,
        timeout: float | None,
        options: CallOptions,
        *,
        ordered: bool,
        given: Callable[[MapResult], T],
    ) -> None:
        self.tool = tool
        self.options = options
        self.given = given
        self._config = config
        self._items = items_of(items)
        self._window = window_of(window, config)
        self._timeout = call_timeout("timeout", timeout)
        self._ordered = ordered

    def calls(self, engine: Engine, put: Callable[[tuple[int, Item]], object]) -> Calls:
        """Its calls; what comes of them is put with their numbers.

        Raises:
            UnknownTool, WrongCallStyle: there is no such tool, or it streams.
        """
        spec = called(engine.tools, self.tool)

        def make(number: int, args: Mapping[str, Any]) -> Call:
            sent, extra = prepare(engine.tools, self._config, self.tool, args, self.options, streaming=False)
            return engine.new_call(self.tool, sent, _Slot(put, number), streaming=False, timeout=self._timeout, **extra)

        return Calls(self._items, spec, make, self._window, ordered=self._ordered)


class _Slot:
    """The mailbox of one call: tells its number beside what comes."""

    __slots__ = ("_number", "_put")

    def __init__(self, put: Callable[[tuple[int, Item]], object], number: int) -> None:
        self._put = put
        self._number = number

    def put(self, item: Item) -> None:
        """On the loop's thread."""
        self._put((self._number, item))


class MapReader(Generic[T]):
    """The results of many calls. Calls do not refer to it: one that is dropped ends, and they with it.

    Args:
        put: takes what comes of the calls, on the loop's thread.
    """

    def __init__(self, engine: Engine, request: Request[T], put: Callable[[tuple[int, Item]], object]) -> None:
        self._engine = engine
        self._tool = request.tool
        self._given = request.given
        self._calls = request.calls(engine, put)
        self._current: Iterator[MapResult] = iter(())
        self._closed = False
        self._submit()

    def close(self) -> None:
        """Cancel what has not ended. Harmless when all has."""
        if not self._closed:
            self._closed = True
            self._current = iter(())
            for call in self._calls.open:
                self._engine.cancel_from_anywhere(call, "its reader left the map")

    def __del__(self) -> None:
        if hasattr(self, "_closed"):
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._tool!r}, {'ended' if self._closed else f'{len(self._calls.open)} calls open'}>"

    def _submit(self) -> None:
        """Submit what the window has room for."""
        try:
            calls = self._calls.due()
        except BaseException:  # an item, or what gives them: no call of it is left behind
            self.close()
            raise
        if calls:
            self._begin(calls)

    def _begin(self, calls: list[Call]) -> None:
        raise NotImplementedError

    def _give(self, result: MapResult) -> T:
        try:
            return self._given(result)
        except BaseException:  # the call has failed: the others are of no use any more
            self.close()
            raise

    def _goes_on(self) -> bool:
        """Submit what there is room for now. False: all has been given."""
        self._submit()
        self._closed = self._closed or self._calls.done
        return not self._closed
