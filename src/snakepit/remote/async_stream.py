"""`AsyncRemoteStream`: the chunks of one call behind a gateway, for `async for`. Leaving early cancels the call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from types import TracebackType
from typing import Any, Self

import grpc.aio

from snakepit._api.chunks import Chunk
from snakepit._api.cursor import Cursor
from snakepit._pool.call import Ended
from snakepit.errors import CallCancelled, ChannelError
from snakepit_bridge.wire.frames import Chunks

from .requests import RemoteCall, failure, item


class AsyncRemoteStream:
    """A running stream: iterate it once, with `async for`. The same as `AsyncStream`.

    What has not been read waits at the gateway, and there at the tool: gRPC's own windows bound what is on its way.
    """

    def __init__(self, rpc: Any, call: RemoteCall, chunk_timeout: float | None) -> None:
        self._rpc = rpc
        self._call = call
        self._chunk_timeout = chunk_timeout
        self._cursor = Cursor(call)  # type: ignore[arg-type]

    @property
    def result(self) -> Any:
        """The tool's return value; None before the end, and for tools that return nothing."""
        return self._cursor.result

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._read()

    def as_values(self) -> Self:
        """This stream, giving what `values()` gives: for calls that look like the tool's own function."""
        self._cursor.bare = True
        return self

    def values(self) -> AsyncIterator[Any]:
        """Exactly what the tool yielded, without envelope or an added last chunk."""
        self._cursor.bare = True
        return self._read()

    async def __anext__(self) -> Chunk:
        while not self._cursor.ended:
            for chunk in self._cursor.open(await self._next_item()):
                return chunk  # type: ignore[no-any-return]
        raise StopAsyncIteration

    def cancel(self) -> None:
        """Cancel the call; a reader that waits gets `CallCancelled`. Harmless when it has ended."""
        self._rpc.cancel()

    async def aclose(self) -> None:
        """Leave the stream: cancel the call if it has not ended."""
        self._leave()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self._leave()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._call.tool!r}, {self._cursor.state}>"

    async def _read(self) -> AsyncIterator[Any]:
        try:
            while not self._cursor.ended:
                for chunk in self._cursor.open(await self._next_item()):  # at most one
                    yield chunk
        finally:
            self._leave()

    async def _items(self) -> AsyncGenerator[Chunks | Ended, None]:
        """What comes, as it comes; ends after the end."""
        try:
            while not self._cursor.ended:
                found = await self._next_item()
                self._cursor.ended = isinstance(found, Ended)
                yield found
        finally:
            self._leave()

    def _leave(self) -> None:
        if not self._cursor.ended:
            self._cursor.ended = True
            self._rpc.cancel()

    async def _next_item(self) -> Chunks | Ended:
        try:
            async with asyncio.timeout(self._chunk_timeout):
                message = await self._rpc.read()
        except grpc.aio.AioRpcError as error:
            self._cursor.ended = True
            raise failure(error) from None
        except TimeoutError:
            self._leave()
            raise self._cursor.gap_error(self._chunk_timeout or 0.0) from None
        except asyncio.CancelledError:
            cancelled = self._rpc.cancelled() and not asyncio.current_task().cancelling()  # type: ignore[union-attr]
            self._leave()
            if cancelled:
                raise CallCancelled(f"the stream of {self._call.tool!r} was cancelled", tool=self._call.tool, rung="pending") from None
            raise
        if message is grpc.aio.EOF:
            self._cursor.ended = True
            raise ChannelError(f"the stream of {self._call.tool!r} ended without its end", tool=self._call.tool)
        found = item(message)
        self._call.chunks += isinstance(found, Chunks)
        return found
