"""`Stream`: the chunks of one call, for `for`. Leaving early cancels the call in the worker."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

from snakepit._pool.call import Call, Item
from snakepit._pool.engine import Engine

from .arrow_reader import arrow_reader
from .chunks import Chunk
from .cursor import Cursor
from .loop_thread import LoopThread


class Stream:
    """A running stream: iterate it once, with `for`.

    Chunks are dicts (see "Chunks" in the reference); `values()` gives what the tool yielded. Breaking out of the loop,
    dropping the stream, Ctrl-C or any exception in the loop's body cancels the call. Whole batches cross the thread border.
    """

    def __init__(self, engine: Engine, call: Call, mailbox: queue.SimpleQueue[Item], loop: LoopThread, chunk_timeout: float | None) -> None:
        self._engine = engine
        self._call = call
        self._mailbox = mailbox
        self._loop = loop
        self._chunk_timeout = chunk_timeout
        self._cursor = Cursor(call)
        self._current: Iterator[Any] = iter(())

    @property
    def result(self) -> Any:
        """The tool's return value; None before the end, and for tools that return nothing."""
        return self._cursor.result

    def __iter__(self) -> Iterator[Chunk]:
        return self._read()

    def as_values(self) -> Self:
        """This stream, giving what `values()` gives: for calls that look like the tool's own function."""
        self._cursor.bare = True
        return self

    def values(self) -> Iterator[Any]:
        """Exactly what the tool yielded, without envelope or an added last chunk."""
        self._cursor.bare = True
        return self._read()

    def to_arrow(self, schema: Any = None) -> Any:
        """The stream as a `pyarrow.RecordBatchReader`, for a tool that yields record batches, tables or frames.

        pandas, polars and DuckDB read it as it comes: `reader.read_pandas()`, `polars.from_arrow(reader)`, `duckdb.from_arrow(reader)`.

        Args:
            schema: a `pyarrow.Schema` that every chunk must have: none is converted to it. None: the first chunk's, for which this waits.

        Raises:
            ConfigurationError: pyarrow is not installed.
            SerializationError: a chunk is no table, or has other columns than those before; also while the reader is read.
        """
        return arrow_reader(self._values_or_result(), self._call.tool, schema)

    def _values_or_result(self) -> Iterator[Any]:
        """What the tool yielded; of one that yields nothing what it returned."""
        count = 0
        for count, value in enumerate(self.values(), 1):  # noqa: B007 - counted
            yield value
        if not count and self.result is not None:
            yield self.result

    def __next__(self) -> Chunk:
        for chunk in self._current:
            return chunk  # type: ignore[no-any-return]
        while self._next_batch():
            for chunk in self._current:
                return chunk  # type: ignore[no-any-return]
        raise StopIteration

    def cancel(self) -> None:
        """Cancel the call; a reader that waits gets `CallCancelled`. Harmless when it has ended."""
        self._engine.cancel_from_anywhere(self._call, "the stream was cancelled")

    def close(self) -> None:
        """Leave the stream: cancel the call if it has not ended."""
        if not self._cursor.ended:
            self._cursor.ended = True
            self._current = iter(())  # what has come and was not read would look like the whole
            self._engine.cancel_from_anywhere(self._call, "its reader left the stream")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._call.tool!r}, {self._cursor.state}>"

    def _read(self) -> Iterator[Any]:
        try:
            yield from self._current
            while self._next_batch():
                yield from self._current
        finally:
            self.close()  # left early, or at the end, where it does nothing

    def _next_batch(self) -> bool:
        """Open the next batch; what was taken is granted again first. False at the end."""
        cursor = self._cursor
        if cursor.ended:
            return False
        self._engine.check_process()
        owed, nbytes = cursor.settle()
        if owed:
            self._loop.post(self._engine.consumed, self._call, owed, nbytes)
        try:
            item = self._take()
        except BaseException:  # Ctrl-C too: the call would run on
            self.close()
            raise
        self._current = cursor.open(item)
        return True

    def _take(self) -> Item:
        seconds = self._chunk_timeout
        if seconds is None:
            return self._mailbox.get()
        left = seconds
        while True:
            try:
                return self._mailbox.get(timeout=min(left, threading.TIMEOUT_MAX))
            except queue.Empty:
                left = self._cursor.gap_left(seconds)
                if left <= 0:
                    error = self._cursor.gap_error(seconds)
                    self._loop.post(self._engine.cancel, self._call, "no chunk came in time", error)
                    raise error from None
