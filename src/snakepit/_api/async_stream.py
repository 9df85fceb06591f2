"""`AsyncStream`: the chunks of one call, for `async for`. Leaving early cancels the call in the worker."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from snakepit._pool.call import Call, Item
from snakepit._pool.engine import Engine

from .chunks import Chunk
from .cursor import Cursor

T = TypeVar("T")


class AsyncMailbox(Generic[T]):
    """News of a call, or of several, awaited on the loop it comes on."""

    __slots__ = ("_items", "_waiter")

    def __init__(self) -> None:
        self._items: collections.deque[T] = collections.deque()
        self._waiter: asyncio.Future[None] | None = None

    def put(self, item: T) -> None:
        """On the loop's thread: something has come."""
        self._items.append(item)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self) -> T:
        """The next item, waiting for it if need be."""
        while not self._items:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self._items.popleft()

    async def get_all(self, wait: float | None = None) -> list[T]:
        """All items that are there, waiting for one if need be; with `wait` no longer than that (seconds): then there may be none."""
        if wait is None:
            found = [await self.get(), *self._items]
        else:
            if not self._items:
                await self._some_come(wait)
            found = list(self._items)
        self._items.clear()
        return found

    async def _some_come(self, wait: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = loop.call_later(wait, lambda: None if waiter.done() else waiter.set_result(None))
        try:
            await waiter
        finally:
            timer.cancel()


class AsyncStream:
    """A running stream: iterate it once, with `async for`.

    Chunks are dicts (see "Chunks" in the reference); `values()` gives what the tool yielded. Breaking out of the loop,
    dropping the stream or cancelling the task that reads it cancels the call.
    """

    def __init__(self, engine: Engine, call: Call, mailbox: AsyncMailbox[Item], chunk_timeout: float | None) -> None:
        self._engine = engine
        self._call = call
        self._mailbox = mailbox
        self._chunk_timeout = chunk_timeout
        self._cursor = Cursor(call)
        self._current: Iterator[Any] = iter(())

    @property
    def result(self) -> Any:
        """The tool's return value; None before the end, and for tools that return nothing."""
        return self._cursor.result

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return _Reader(self)

    def as_values(self) -> Self:
        """This stream, giving what `values()` gives: for calls that look like the tool's own function."""
        self._cursor.bare = True
        return self

    def values(self) -> AsyncIterator[Any]:
        """Exactly what the tool yielded, without envelope or an added last chunk."""
        self._cursor.bare = True
        return _Reader(self)

    async def __anext__(self) -> Chunk:
        for chunk in self._current:
            return chunk  # type: ignore[no-any-return]
        return await self._next()  # type: ignore[no-any-return]

    def cancel(self) -> None:
        """Cancel the call; a reader that waits gets `CallCancelled`. Harmless when it has ended."""
        self._engine.cancel(self._call, "the stream was cancelled")

    async def aclose(self) -> None:
        """Leave the stream: cancel the call if it has not ended."""
        self._abandon()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self._abandon()

    def __del__(self) -> None:
        self._abandon()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._call.tool!r}, {self._cursor.state}>"

    def _abandon(self) -> None:
        if not self._cursor.ended:
            self._cursor.ended = True
            self._current = iter(())  # what has come and was not read would look like the whole
            self._engine.cancel_from_anywhere(self._call, "its reader left the stream")

    async def _next(self) -> Any:
        """The first chunk of the next batch; what was taken is granted again first."""
        cursor = self._cursor
        self._engine.check_process()
        while not cursor.ended:
            self._current = cursor.open(await self._next_item())
            for chunk in self._current:
                return chunk
        raise StopAsyncIteration

    async def _next_item(self) -> Item:
        """The next batch or end as it has come, for who passes it on; what was taken before is granted again first."""
        owed, nbytes = self._cursor.settle()
        if owed:
            self._engine.consumed(self._call, owed, nbytes)
        try:
            return await self._take()
        except BaseException:
            self._abandon()
            raise

    async def _take(self) -> Item:
        seconds = self._chunk_timeout
        if seconds is None:
            return await self._mailbox.get()
        left = seconds
        while True:
            try:
                async with asyncio.timeout(left):
                    return await self._mailbox.get()
            except TimeoutError:
                left = self._cursor.gap_left(seconds)
                if left <= 0:
                    error = self._cursor.gap_error(seconds)
                    self._engine.cancel(self._call, "no chunk came in time", error)
                    raise error from None


class _Reader:
    """One `async for` over a stream. When it is dropped half-read, the stream is left."""

    __slots__ = ("_stream",)

    def __init__(self, stream: AsyncStream) -> None:
        self._stream = stream

    def __aiter__(self) -> _Reader:
        return self

    async def __anext__(self) -> Any:
        for chunk in self._stream._current:
            return chunk
        return await self._stream._next()

    def __del__(self) -> None:
        self._stream._abandon()
