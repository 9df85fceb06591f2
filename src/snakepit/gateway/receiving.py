"""How the messages of requests come in: in time, and not too many large ones of one client at once. Used by `door`.

What gRPC has received of a message that is not whole yet is memory which nobody has counted. So a message that is not there after
half a second makes its request a late one, of which each client may have few: `late_requests` times `message_bytes` is what can
pile up. Small messages come with their headers and never wait for anybody. (A number of permits to receive at all was tried in
thought and dropped: a client's slow uploads would have held up its small calls.)
"""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio

from snakepit.errors import InvalidParameter, LimitExceeded, WorkerTimeout

from .clients import Clients, Entry
from .settings import Limits

#: A message that has not come by then is late (seconds).
_PROMPT = 0.5
#: A timer that is told so much too late says nothing: the gateway itself was busy (seconds).
_BUSY = 0.1
#: How long a stream of requests, such as reflection's, may be silent (seconds).
_SILENCE = 60.0


class Receiving:
    """The messages of one request."""

    def __init__(self, clients: Clients, entry: Entry, limits: Limits) -> None:
        self._clients = clients
        self._entry = entry
        self._limits = limits
        self._is_late = False
        self._refusal: LimitExceeded | None = None

    async def only(self, handler: Any, context: Any) -> Any:
        """The one message of a request that has one.

        Raises:
            WorkerTimeout: it has not come in time. LimitExceeded: too many are late, or in memory.
            InvalidParameter: there is none, or it is not what the method takes.
        """
        seconds = self._limits.request_seconds
        try:
            data = await self._read(context, seconds)
        except TimeoutError:
            error = WorkerTimeout(
                f"no request came within {seconds:g} s",
                hint="send it right after the headers",
                code="request_timeout",
                limit="request_seconds",
                allowed=seconds,
            )
            raise error from None
        return self._decoded(handler, data)

    async def each(self, handler: Any, context: Any) -> Any:
        """The messages of a client that sends several; one that is silent for too long sends no more.

        Raises:
            LimitExceeded, InvalidParameter: as `only` does.
        """
        while True:
            try:
                data = await self._read(context, _SILENCE)
            except TimeoutError:
                return
            if data is grpc.aio.EOF:
                return
            yield self._decoded(handler, data)

    async def _read(self, context: Any, seconds: float) -> Any:
        loop = asyncio.get_running_loop()
        self._is_late, self._refusal = False, None
        try:
            async with asyncio.timeout(seconds) as timer:
                watch = _Watch(loop, lambda: self._on_late(timer))
                try:
                    return await context.read()
                finally:
                    watch.stop()
        except TimeoutError:
            if self._refusal is not None:
                raise self._refusal from None
            raise
        finally:
            self._entry.client.late -= self._is_late

    def _on_late(self, timer: asyncio.Timeout) -> None:
        client = self._entry.client
        try:
            self._clients.check_late(client)
        except LimitExceeded as error:
            self._refusal = error
            timer.reschedule(0.0)
        else:
            self._is_late = True
            client.late += 1

    def _decoded(self, handler: Any, data: Any) -> Any:
        if not isinstance(data, bytes):
            raise InvalidParameter("the request has no message", code="malformed_request")
        self._entry.hold(len(data), "request")
        try:
            return handler.request_deserializer(data)
        except Exception:  # protobuf's own
            raise InvalidParameter("the request is no message of this method's kind", code="malformed_request") from None


class _Watch:
    """Calls when a message is late, unless it was the gateway that was."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_late: Any) -> None:
        self._loop = loop
        self._on_late = on_late
        self._handle = loop.call_later(_PROMPT, self._look)

    def stop(self) -> None:
        self._handle.cancel()

    def _look(self) -> None:
        if self._loop.time() - self._handle.when() > _BUSY:
            self._handle = self._loop.call_later(_PROMPT, self._look)
        else:
            self._on_late()
