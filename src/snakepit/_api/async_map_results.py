"""`AsyncMapResults`: what `AsyncPool.map` and `AsyncPool.stream_map` give."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack

from snakepit._pool.bundle import News
from snakepit._pool.call import Call
from snakepit._pool.engine import Engine
from snakepit.config import PoolConfig

from .async_stream import AsyncMailbox
from .map_reader import MapReader, Request, submit_all
from .mapping import MapResult, itself
from .options import CallOptions

T = TypeVar("T")


class AsyncMapResults(MapReader[T]):
    """The results of many calls, for `async for`. Its calls begin at once, as many as its window allows, and go on while it is read.

    Breaking out of the loop, dropping it or cancelling the task that reads it cancels those that run or wait.
    """

    def __init__(self, engine: Engine, request: Request[T]) -> None:
        self._reading = asyncio.Lock()  # several tasks may share one reader: each result goes to one of them
        self._mailbox: AsyncMailbox[News] = AsyncMailbox()
        super().__init__(engine, request, self._mailbox.put)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        async with self._reading:
            while not self._closed:
                for result in self._current:
                    return self._give(result)
                if not self._goes_on():
                    break
                if self._calls.has_results:
                    continue
                try:
                    for news in await self._mailbox.get_all(self._calls.wait if self._calls.has_room else None):
                        self._calls.ended(news)
                except BaseException:  # its task was cancelled: the calls would run on
                    self.close()
                    raise
                self._current = self._calls.take()
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def _begin(self, calls: list[Call]) -> None:
        submit_all(self._engine, self._job, calls)


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
    ) -> AsyncMapResults[MapResult]:
        """`map`, with a `MapResult` for each item as soon as it is there. See `Pool.stream_map`."""
        return self._mapped(Request(self._config, tool, items, window, timeout, options, ordered=ordered, given=itself))

    def _mapped(self, request: Request[T]) -> AsyncMapResults[T]:
        engine = self._on_its_loop(self._started_engine())
        session = self._given_session(request.options)
        if session is not None:
            session._opened_already()
        return AsyncMapResults(engine, request)
