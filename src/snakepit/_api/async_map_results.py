"""`AsyncMapResults`: what `AsyncPool.map` and `AsyncPool.stream_map` give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack

from snakepit._pool.call import Call, Item
from snakepit._pool.engine import Engine
from snakepit._pool.tools import ToolSpec
from snakepit.config import PoolConfig

from .arguments import call_timeout, called
from .async_stream import AsyncMailbox
from .map_results import Slot
from .mapping import Calls, MapResult, items_of, itself, window_of
from .options import CallOptions, prepare

T = TypeVar("T")


class AsyncMapResults(Generic[T]):
    """The results of many calls, for `async for`. Its calls begin at once, as many as its window allows, and go on while it is read.

    Breaking out of the loop, dropping it or cancelling the task that reads it cancels those that run or wait.
    """

    def __init__(
        self,
        engine: Engine,
        spec: ToolSpec,
        items: Iterable[Any],
        make: Callable[[Any, Mapping[str, Any]], Call],
        window: int,
        *,
        ordered: bool,
        given: Callable[[MapResult], T],
    ) -> None:
        self._engine = engine
        self._tool = spec.name
        self._given = given
        self._mailbox: AsyncMailbox[tuple[int, Item]] = AsyncMailbox()
        put = self._mailbox.put  # not one of this object's own: calls would keep it alive that was dropped
        self._calls = Calls(items, spec, lambda index, args: make(Slot(put, index), args), window, ordered=ordered)
        self._current: Iterator[MapResult] = iter(())
        self._closed = False
        self._submit()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
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
            try:
                for news in await self._mailbox.get_all():
                    self._calls.ended(*news)
            except BaseException:  # its task was cancelled: the calls would run on
                self.close()
                raise
            self._current = self._calls.take()
        raise StopAsyncIteration

    def close(self) -> None:
        """Cancel what has not ended. Harmless when all has."""
        if not self._closed:
            self._closed = True
            self._current = iter(())
            for call in self._calls.open:
                self._engine.cancel_from_anywhere(call, "its reader left the map")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_closed"):
            self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._tool!r}, {'ended' if self._closed else f'{len(self._calls.open)} calls open'}>"

    def _submit(self) -> None:
        try:
            for call in self._calls.due():
                self._engine.submit(call)
        except BaseException:  # an item, or what gives them: no call of it is left behind
            self.close()
            raise


class AsyncMaps:
    """`map` and `stream_map`, for the pool that has the rest."""

    _config: PoolConfig
    _started_engine: Callable[[], Engine]
    _on_its_loop: Callable[[Engine], Engine]
    _given_session: Callable[[CallOptions], Any]

    def map(
        self,
        tool: str,
        items: Iterable[Any],
        *,
        window: int | None = None,
        timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncMapResults[Any]:
        """Run a tool for each item; its results, in the order of the items, as they are asked for. The pool must have been started.

            async for price in pool.map("price", articles): ...

        See `Pool.map`, which takes the same.
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
    ) -> AsyncMapResults[MapResult]:
        """`map`, with a `MapResult` for each item as soon as it is there. See `Pool.stream_map`."""
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
    ) -> AsyncMapResults[T]:
        seconds, width = call_timeout("timeout", timeout), window_of(window, self._config)
        engine = self._on_its_loop(self._started_engine())
        session = self._given_session(options)
        if session is not None:
            session._opened_already()
        spec, config = called(engine.tools, tool), self._config

        def make(mailbox: Slot, args: Mapping[str, Any]) -> Call:
            sent, extra = prepare(engine.tools, config, tool, args, options, streaming=False)
            return engine.new_call(tool, sent, mailbox, streaming=False, timeout=seconds, **extra)

        return AsyncMapResults(engine, spec, items_of(items), make, width, ordered=ordered, given=given)
