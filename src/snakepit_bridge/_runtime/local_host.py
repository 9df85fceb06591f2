"""The host's end of a worker's channel, in the worker's own process: how servers of other protocols run calls on the one runtime.

Frames go from hand to hand instead of over a socket; credit, cancellation, sessions and host tools are the channel's. Lives on one
asyncio loop, on a thread of its own; only the writing half (`wake`) is called from others.
"""

import asyncio
import collections
import contextlib
from typing import Any, Callable, Deque, Dict, List, Optional

from ..bridge.plain import plain
from ..wire import frames
from ..wire.codecs import Codec, available_codecs, codec_named
from ..wire.frames import Window
from ..wire.host_side import HostMultiplexer
from ..wire.plain import Unserialisable
from .executor import Executor
from .handover import Handover
from .link import Link

#: How far a stream may run ahead of who reads it. Small: nobody gains from more, and a slow reader holds it in memory.
WINDOW = Window(256, 1024 * 1024)


class PlainerCodec(Codec):
    """A codec that takes any value: what the channel does not carry goes in its plainer form, as these servers tell it anyway."""

    def __init__(self) -> None:
        super().__init__()
        self._codec = codec_named(available_codecs()[0])
        self.name = self._codec.name
        self.decode = self._codec.decode  # type: ignore[method-assign]
        self.array = self._codec.array  # type: ignore[method-assign]

    def encode(self, value: Any) -> bytes:
        try:
            return self._codec.encode(value)
        except Unserialisable:
            return self._codec.encode(_frame_or_value(value))

    def encode_value(self, value: Any) -> bytes:
        try:
            return self._codec.encode_value(value)
        except Unserialisable:
            return self._codec.encode_value(plain(value))


def _frame_or_value(value: Any) -> Any:
    """A frame is a tuple: its parts, among them bytes of pieces, stay as they are where they can."""
    return tuple(item if isinstance(item, (bytes, int, str)) else plain(item) for item in value) if type(value) is tuple else plain(value)


class LocalCall:
    """One call: `next` gives its `Chunks` as they come and at the end one `Result` or `Failure`. `close` it whatever happens.

    Attributes:
        call_id: its number, by which calls of host tools name it. session_id: of its session; empty: it has none.
    """

    def __init__(self, host: "LocalHost", call_id: int, session_id: str) -> None:
        self.call_id = call_id
        self.session_id = session_id
        self._host = host
        self._events: Deque[Any] = collections.deque()
        self._ready: asyncio.Future[None] = host.loop.create_future()

    async def next(self) -> Any:
        """Its next event."""
        while not self._events:
            await self._ready
            self._ready = self._host.loop.create_future()
        return self._events.popleft()

    async def end(self) -> Any:
        """Its `Result` or `Failure`."""
        event = await self.next()
        while isinstance(event, frames.Chunks):
            self.taken(event)
            event = await self.next()
        return event

    def taken(self, event: frames.Chunks) -> None:
        """Chunks have been passed on: as many more may come."""
        self._host.grant(event)

    def close(self) -> None:
        """Nobody reads on: unless it has ended, it is cancelled."""
        self._host.cancel(self, "its caller has left")

    def put(self, event: Any) -> None:
        """Something has come for it."""
        self._events.append(event)
        if not self._ready.done():
            self._ready.set_result(None)


class LocalHost:
    """Runs calls on one executor.

    Args:
        on_host_call: called with each call of a host tool; answer by `answer`. on_host_cancel: with the number of one that is given up.
        kill_after: seconds after its cancel in which a call should have ended.
        on_stuck: called with the id of a call that has not.
    """

    def __init__(
        self,
        executor: Executor,
        on_host_call: Callable[[frames.HostCall], None],
        on_host_cancel: Callable[[int], None],
        kill_after: float,
        on_stuck: Callable[[int], None],
    ) -> None:
        self.loop = asyncio.get_event_loop()
        self.hello: Dict[str, Any] = {}
        self._executor = executor
        self._on_host_call = on_host_call
        self._on_host_cancel = on_host_cancel
        self._kill_after = kill_after
        self._on_stuck = on_stuck
        codec = PlainerCodec()
        self._mux = HostMultiplexer(codec)
        self._link = Link(codec, self)
        self._handover = Handover()
        self._number = 0
        self._calls: Dict[int, LocalCall] = {}
        self._cancelled: Dict[int, asyncio.TimerHandle] = {}  # given up by their callers, not ended

    def open(self) -> None:
        """Open the channel: the executor introduces itself."""
        self._executor.attach(self._link)
        self._drain()

    def call(self, tool: str, args: Dict[str, Any], **options: Any) -> LocalCall:
        """Begin a call.

        Args:
            options: as a `CALL` frame has them: `stream`, `timeout`, `session`, `binary`, `cid`, `trace`.

        Raises:
            Unserialisable: an argument cannot travel.
        """
        self._number += 1
        call = LocalCall(self, self._number, (options.get("session") or {}).get("id", ""))
        self._mux.call(call.call_id, tool, args, {**options, "kill_after": self._kill_after}, WINDOW)
        self._calls[call.call_id] = call
        self._flush()
        return call

    def cancel(self, call: LocalCall, reason: str) -> None:
        """Nobody waits for it any more: it is interrupted, and what comes of it is dropped."""
        if self._calls.pop(call.call_id, None) is None:
            return
        if not self._mux.cancel(call.call_id, reason):
            self._cancelled[call.call_id] = self.loop.call_later(self._kill_after, self._on_stuck, call.call_id)
        self._flush()

    def grant(self, event: frames.Chunks) -> None:
        """Chunks have been taken: as many more may come."""
        self._mux.grant(event.call_id, len(event.payloads), event.nbytes)
        self._flush()

    def end_session(self, session_id: str, reason: str) -> None:
        """A session is over."""
        self._mux.end_session(session_id, reason)
        self._flush()

    def answer(self, call: frames.HostCall, value: Any = None, failure: Optional[Dict[str, Any]] = None) -> None:
        """What a host tool gave: a value, or why it did not."""
        if failure is None:
            self._mux.answers.result(call.call_id, value, {})
        else:
            self._mux.answers.error(call.call_id, failure)
        self._flush()

    def session_of(self, call_id: int) -> str:
        """The session of an open call; empty: it has none."""
        call = self._calls.get(call_id)
        return call.session_id if call is not None else ""

    @property
    def running(self) -> int:
        """How many calls have not ended, those included that nobody waits for."""
        return len(self._calls) + len(self._cancelled)

    def close(self, reason: str) -> None:
        """The worker leaves: calls that have not ended are cancelled."""
        for timer in self._cancelled.values():
            timer.cancel()
        self._cancelled.clear()
        self._executor.closed(reason)

    # The writing half of the channel: see `Writer` --------------------------------------------------------------------------

    sure = True  # it is taken in this process

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # the server has ended, and nobody is left to be told
            self.loop.call_soon_threadsafe(self._drain)

    def wake_for_chunk(self) -> None:
        self._handover.lend(self.wake)

    def wake_for_flood(self) -> None:
        self.wake()

    # Inside, on the loop ------------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """Take what the worker has written."""
        while True:
            message = self._link.next_message()
            self._handover.taken()
            if message is None:
                break
            for event in self._mux.receive(message):
                self._take(event)
        self._flush()

    def _take(self, event: Any) -> None:
        if isinstance(event, (frames.Chunks, frames.Result, frames.Failure)):
            done = not isinstance(event, frames.Chunks)
            call = self._calls.pop(event.call_id, None) if done else self._calls.get(event.call_id)
            if call is not None:
                call.put(event)
            elif done and event.call_id in self._cancelled:
                self._cancelled.pop(event.call_id).cancel()
        elif isinstance(event, frames.HostCall):
            self._on_host_call(event)
        elif isinstance(event, frames.Cancel):
            self._on_host_cancel(event.call_id)
        elif isinstance(event, frames.Hello):
            self.hello = event.info

    def _flush(self) -> None:
        """Hand the worker what waits for it."""
        messages: List[bytes] = []
        message = self._mux.next_message()
        while message is not None:
            messages.append(message)
            message = self._mux.next_message()
        for item in messages:
            self._executor.receive(item)
