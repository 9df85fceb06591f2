"""The gRPC carrier at the host: one channel with one connection, one bidirectional stream of raw messages.

grpc.aio ends the whole stream if a read or write of it is cancelled, or if two writes overlap: so exactly one task reads and
one writes, from start to close, never under a timeout, and `close` ends them by cancelling the call itself, and then the writer:
a write that waits for the stream to begin is not woken by the end of a stream that never began.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from snakepit.errors import ChannelError

from .carrier import Ends

METHOD = "/snakepit.channel.Channel/Attach"

_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A worker gets a connection of its own, never one that another channel to a re-used port left behind.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 60_000),
    ("grpc.http2.max_pings_without_data", 0),
    # Loopback or a unix socket: a proxy from the environment must not get between.
    ("grpc.enable_http_proxy", 0),
]


class GrpcCarrier:
    """An open `Attach` stream to one worker."""

    def __init__(self, channel: grpc.aio.Channel, call: Any) -> None:
        self._channel = channel
        self._call = call
        self._waiting = asyncio.Event()  # something may wait to be written
        self._closed = False
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    @classmethod
    async def attach(cls, endpoint: str, secret: str, codec: str, timeout: float) -> GrpcCarrier:
        """Connect to a worker that has said it is ready.

        Args:
            endpoint: `unix:/path` or `127.0.0.1:port`.
            secret: the run's secret.
            codec: the codec both sides will use.
            timeout: seconds until the connection must stand.

        Raises:
            ChannelError: it does not stand in time.
        """
        channel = grpc.aio.insecure_channel(endpoint, options=_OPTIONS)
        try:
            await asyncio.wait_for(channel.channel_ready(), timeout)
        except BaseException as error:
            await channel.close()
            if isinstance(error, TimeoutError):
                raise ChannelError(f"no connection to the worker at {endpoint} within {timeout:g} s", endpoint=endpoint) from error
            raise
        call: Any = channel.stream_stream(METHOD)(metadata=(("x-snakepit-secret", secret), ("x-snakepit-codec", codec)))
        return cls(channel, call)

    def start(self, ends: Ends, create_task: Callable[..., asyncio.Task[None]], name: str) -> None:
        """Begin to read and write."""
        self._tasks = (create_task(self._read(ends), name=f"{name}-reader"), create_task(self._write(ends), name=f"{name}-writer"))

    def wake(self) -> None:
        """Something waits to be written."""
        self._waiting.set()

    async def close(self) -> None:
        """Cancel the stream and close the connection. The reader ends by itself, because the stream has ended, and says so."""
        self._closed = True
        self._waiting.set()
        self._call.cancel()
        if self._tasks:
            _, writer = self._tasks
            writer.cancel()
        await self._channel.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _read(self, ends: Ends) -> None:
        reason = "the worker closed the channel"
        try:
            while (message := await self._call.read()) is not grpc.aio.EOF:
                if not ends.receive(message):
                    return
        except (grpc.aio.AioRpcError, asyncio.CancelledError) as error:
            reason = self._ended(error).message
        finally:
            self._closed = True
            self._waiting.set()
            ends.closed(reason)

    async def _write(self, ends: Ends) -> None:
        # When the stream has ended, the reader learns of it too, and says why.
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError, asyncio.InvalidStateError):
            while not self._closed:
                message = ends.next_message()
                if message:
                    await self._call.write(message)
                elif message is not None:  # others have their turn first
                    await asyncio.sleep(0)
                else:
                    await self._waiting.wait()
                    self._waiting.clear()

    def _ended(self, error: BaseException) -> ChannelError:
        if isinstance(error, grpc.aio.AioRpcError):
            return ChannelError(f"the gRPC stream ended: {error.code().name}: {error.details()}", status=error.code().name)
        return ChannelError("the gRPC stream was closed")
