"""`RemoteStream`: the chunks of one call behind a gateway, for `for`. Leaving early cancels the call."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from snakepit._api.arrow_reader import arrow_reader
from snakepit._api.chunks import Chunk
from snakepit._api.loop_thread import LoopThread

from .async_stream import AsyncRemoteStream

#: How many chunks a stream may have ready for a reader on another thread: they cross in one go.
_AHEAD = 256


class RemoteStream:
    """A running stream: iterate it once, with `for`. The same as `Stream`."""

    def __init__(self, core: AsyncRemoteStream, loop: LoopThread) -> None:
        self._core = core
        self._loop = loop
        self._pump = _Pump(core)
        self._current: Iterator[Any] = iter(())

    @property
    def result(self) -> Any:
        """The tool's return value; None before the end, and for tools that return nothing."""
        return self._core.result

    def __iter__(self) -> Iterator[Chunk]:
        return self._read()

    def as_values(self) -> Self:
        """This stream, giving what `values()` gives: for calls that look like the tool's own function."""
        self._core.as_values()
        return self

    def values(self) -> Iterator[Any]:
        """Exactly what the tool yielded, without envelope or an added last chunk."""
        self._core.as_values()
        return self._read()

    def to_arrow(self, schema: Any = None) -> Any:
        """The stream as a `pyarrow.RecordBatchReader`, for a tool that yields record batches, tables or frames.

        pandas, polars and DuckDB read it as it comes: `reader.read_pandas()`, `polars.from_arrow(reader)`, `duckdb.from_arrow(reader)`.

        Args:
            schema: a `pyarrow.Schema`; None: the first chunk's, for which this waits.

        Raises:
            ConfigurationError: pyarrow is not installed.
            SerializationError: a chunk is no table, or has other columns than those before; also while the reader is read.
        """
        return arrow_reader(self.values(), self._core._call.tool, schema)

    def __next__(self) -> Chunk:
        while True:
            for chunk in self._current:
                return chunk  # type: ignore[no-any-return]
            if self._pump.over:
                raise StopIteration
            self._current = self._loop.run(self._pump.take())

    def cancel(self) -> None:
        """Cancel the call; a reader that waits gets `CallCancelled`. Harmless when it has ended."""
        self._loop.post(self._core.cancel)

    def close(self) -> None:
        """Leave the stream: cancel the call if it has not ended."""
        self._current = iter(())
        if not self._pump.over:
            self._pump.over = True
            self._loop.post(self._pump.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._core).replace("AsyncRemoteStream", type(self).__name__)

    def _read(self) -> Iterator[Any]:
        try:
            while not self._pump.over:
                yield from self._current
                self._current = self._loop.run(self._pump.take())
            yield from self._current
        finally:
            self.close()


class _Pump:
    """Reads a stream on its loop, a bounded way ahead. Made on the loop.

    Attributes:
        over: there is nothing more to take.
    """

    def __init__(self, core: AsyncRemoteStream) -> None:
        self.over = False
        self._core = core
        self._ready: collections.deque[Any] = collections.deque()
        self._ended = False
        self._error: BaseException | None = None
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> Iterator[Any]:
        """What has come since the last time; waits for it if need be. An empty one is the end.

        Raises:
            SnakepitError: the call failed, and everything before has been taken.
        """
        if self._task is None:  # not before: whether values or chunks are wanted is known by now
            self._task = asyncio.get_running_loop().create_task(self._read(), name="snakepit-remote-stream")
        async with self._news:
            await self._news.wait_for(lambda: self._ready or self._ended)
            taken, self._ready = self._ready, collections.deque()
            self._news.notify_all()
        if not taken and self._error is not None:
            self.over = True
            raise self._error
        self.over = self.over or (self._ended and self._error is None)
        return iter(taken)

    def stop(self) -> None:
        """Nobody will take what comes."""
        if self._task is not None:
            self._task.cancel()
        self._core._leave()

    async def _read(self) -> None:
        try:
            async for chunk in self._core._read():
                async with self._news:
                    await self._news.wait_for(lambda: len(self._ready) < _AHEAD)
                    self._ready.append(chunk)
                    self._news.notify_all()
        except asyncio.CancelledError:
            self._core._leave()
            raise
        except BaseException as error:
            self._error = error
        finally:
            self._ended = True
            async with self._news:
                self._news.notify_all()
