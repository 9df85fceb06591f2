"""The telemetry stream of one foreign server: its events in, and out what the pool wants of them.

A server that does not serve it, or does not answer, costs nothing but its events; why stands in the figures.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import grpc.aio

from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.wire.event_filter import EventFilter
from snakepit_bridge.wire.event_queue import EventQueue

from .frames import ForeignMultiplexer

#: A server that has not answered by then is said not to (seconds); should it answer later, its events are taken all the same.
_ANSWER_SECONDS = 5.0
#: Controls wait until it has answered, or for so long (seconds). A refusal comes just behind the answer: a write that meets it would make
#: grpc tell of an internal error in its place.
_WRITE_SECONDS, _REFUSAL_SECONDS = 1.0, 0.02
#: With so many events waiting no more are read: the server has a queue of its own, and drops what it cannot keep.
_MOST_READ = 1024


class _Queue(EventQueue):
    """Tells who reads when there may be room again."""

    def __init__(self, wake: Callable[[], None]) -> None:
        super().__init__(wake)
        self.room = asyncio.Event()

    def go_on(self) -> None:
        super().go_on()
        self.room.set()


class BridgeEvents:
    """Of one server. Lives on the pool's loop.

    Args:
        begin: runs a coroutine in a task of the carrier's.
    """

    def __init__(self, stub: Any, mux: ForeignMultiplexer, wake: Callable[[], None], begin: Callable[[Any], None]) -> None:
        self._stub = stub
        self._mux = mux
        self._wake = wake
        self._begin = begin
        self._queue = mux.events = _Queue(wake)
        self._filter = EventFilter(enabled=False)
        self._controls: asyncio.Queue[Any] = asyncio.Queue()
        self._opened = self._sampled = self._filtered = False
        self._may_write = asyncio.Event()
        self._reason = ""

    def obey(self, wanted: EventFilter) -> None:
        """From now on these are wanted. The first time that any are, the stream is opened."""
        if not (wanted.enabled or self._opened):
            return
        shares = {share for _, share in wanted.sampling}
        # The old protocol has one share for all its patterns: where there are several the choice is made here.
        self._filter = EventFilter(wanted.enabled, wanted.sampling if len(shares) > 1 else (), wanted.allow, wanted.deny)
        if wanted.allow or wanted.deny or self._filtered:
            self._filtered = True
            self._controls.put_nowait(pb.TelemetryControl(filter=pb.TelemetryEventFilter(allow=wanted.allow, deny=wanted.deny)))
        if shares or self._sampled:
            self._sampled = True
            one = len(shares) == 1
            patterns = [pattern for pattern, _ in wanted.sampling] if one else ["*"]
            update = pb.TelemetrySamplingUpdate(sampling_rate=shares.pop() if one else 1.0, event_patterns=patterns)
            self._controls.put_nowait(pb.TelemetryControl(sampling=update))
        self._controls.put_nowait(pb.TelemetryControl(toggle=pb.TelemetryToggle(enabled=wanted.enabled)))
        if not self._opened:
            self._opened = True
            self._begin(self._read())

    async def _told(self) -> AsyncIterator[Any]:
        await self._may_write.wait()
        while (control := await self._controls.get()) is not None:
            yield control

    async def _read(self) -> None:
        rpc = self._stub.StreamTelemetry(self._told())
        text = f"it has not answered within {_ANSWER_SECONDS:g} s"
        soon = asyncio.get_running_loop().call_later(_WRITE_SECONDS, self._may_write.set)
        late = asyncio.get_running_loop().call_later(_ANSWER_SECONDS, self._say, text)
        try:
            await rpc.initial_metadata()
            late.cancel()
            await asyncio.sleep(_REFUSAL_SECONDS)
            self._may_write.set()
            self._say("")
            async for event in rpc:
                self._take(event)
                while self._queue.waiting >= _MOST_READ:
                    self._queue.room.clear()
                    await self._queue.room.wait()
            reason = "it has ended the stream"
        except grpc.aio.AioRpcError as error:
            reason = f"{error.code().name}: {error.details()}"
        finally:
            late.cancel()
            rpc.cancel()
            soon.cancel()
            self._may_write.set()
            self._controls.put_nowait(None)  # of an RPC that has ended by itself, grpc leaves the task that reads them
        self._say(reason)

    def _say(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            self._mux.no_events(reason and f"bridge: the server's events do not come, as it does not serve StreamTelemetry: {reason}")
            self._wake()

    def _take(self, event: Any) -> None:
        name = ".".join(event.event_parts)
        if not self._filter.wants(name):
            return
        measurements = {key: getattr(value, value.WhichOneof("value") or "int_value") for key, value in event.measurements.items()}
        at = event.timestamp_ns / 1e9 if event.timestamp_ns else time.time()
        self._queue.put(self._mux.codec.encode((name, measurements, dict(event.metadata), at, event.correlation_id)))
