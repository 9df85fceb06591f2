"""One worker's channel as the host sees it: frames to send, events as they come, and word of its end.

The multiplexer decides what is written and what a message means, a carrier moves the messages. Used by `_workers.worker`
from the loop's thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

from snakepit.telemetry.logs import library_logger
from snakepit_bridge.shared.store import Store, unavailable
from snakepit_bridge.wire.answering import Outflow
from snakepit_bridge.wire.attachments import Encoded
from snakepit_bridge.wire.codecs import Codec
from snakepit_bridge.wire.coding import BINARY_THRESHOLD
from snakepit_bridge.wire.frames import Fault, HostEvent, Shared, Window
from snakepit_bridge.wire.host_side import HostMultiplexer
from snakepit_bridge.wire.payload import MAX_PAYLOAD
from snakepit_bridge.wire.plain import Unserialisable

from .carrier import Carrier

_log = library_logger("snakepit.channel")


class Connection:
    """Carries all calls of one worker.

    Args:
        on_event: called with each event, in order, on the loop's thread.
        on_closed: called once, with the reason, when nothing more will come.

    Attributes:
        fault: what was wrong with what came, after which nothing more is read; empty: nothing.
    """

    def __init__(self, carrier: Carrier, codec: Codec, on_event: Callable[[HostEvent], None], on_closed: Callable[[str], None]) -> None:
        self._carrier = carrier
        self._mux = HostMultiplexer(codec)
        self._codec = codec
        self._store: Store | None = None
        self._on_event = on_event
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self.fault = ""

    def start(self, create_task: Callable[..., asyncio.Task[None]], name: str) -> None:
        """Begin to read and write; `create_task` is the owner's."""
        self._carrier.start(self, create_task, name)

    def set_up(self, threshold: int, shared_memory: int, max_payload: int, *, strict: bool) -> None:
        """Agree with the worker on how what is large travels.

        Args:
            threshold: from so many bytes on, what is binary lies beside the rest.
            strict: answers that hold what cannot travel are errors.
            shared_memory: how much may be shared in either direction (bytes), once both see each other's; 0: none.
            max_payload: how large a call's arguments, a result or a chunk may be (bytes), in either direction.
        """
        if max_payload != MAX_PAYLOAD:
            self._mux.limit(max_payload)
            self._mux.setup({"max_payload": max_payload})
        if threshold != BINARY_THRESHOLD:
            self._codec.terms.threshold = threshold
            self._mux.setup({"threshold": threshold})
        if strict:
            self._codec.terms.strict = True
            self._mux.setup({"strict": True})
        if shared_memory:
            self._share(shared_memory)
        self._carrier.wake()

    def _share(self, limit: int) -> None:
        store = self._store = Store(limit, self._wake_soon)
        store.reason = unavailable()
        probe = None if store.reason else store.probe()
        if probe is not None:
            self._mux.share(store, lend=False)
            self._mux.setup({"shared": probe})

    @property
    def shared(self) -> Store | None:
        """The shared memory, for its figures; None: none is wanted."""
        return self._store

    def _wake_soon(self) -> None:
        """From any thread, in the middle of anything."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._carrier.wake)

    def _answered(self, info: dict[str, Any]) -> None:
        """The worker has said what it sees of what is shared."""
        store = self._store
        if store is None:
            return
        if "row" not in info:
            store.reason = str(info.get("reason", "the worker does not say why"))
        elif store.reads(info):
            self._mux.share(store, lend=True)
            self._mux.setup({"lend": True})
            self._carrier.wake()

    def call(self, call_id: int, tool: str, args: dict[str, Any], options: dict[str, Any], window: Window) -> None:
        """Ask the worker for one run of a tool.

        Raises:
            Unserialisable: an argument cannot travel; nothing was sent.
        """
        try:
            self._mux.call(call_id, tool, args, options, window)
        except BaseException as error:
            if isinstance(error, Exception) or threading.current_thread() is threading.main_thread():  # Ctrl-C is for that thread
                raise
            # An argument's own code, which runs here, is not to end the loop of all calls.
            raise Unserialisable("", "dict", f"the code of one of them raised {type(error).__name__}") from error
        self._carrier.wake()

    def cancel(self, call_id: int, reason: str) -> bool:
        """Cancel a call in the worker. True if it had not reached it: no end of it will be reported."""
        unsent = self._mux.cancel(call_id, reason)
        self._carrier.wake()
        return unsent

    def grant(self, call_id: int, chunks: int, nbytes: int) -> None:
        """Let a stream send as many more chunks and bytes as its consumer has taken."""
        self._mux.grant(call_id, chunks, nbytes)
        self._carrier.wake()

    # Answers to calls of host tools -----------------------------------------------------------------------------------------

    def encode(self, value: Any) -> Encoded:
        """A value as it travels here.

        Raises:
            Unserialisable: it cannot.
        """
        return self._mux.answers.packed(value)

    def outflow(self, call_id: int) -> Outflow:
        """The sending side of a host tool's call, for what it yields."""
        return self._mux.answers.outflow(call_id) or Outflow.closed(call_id)

    def offer(self, outflow: Outflow, item: Encoded) -> bool:
        """Send an encoded item, if there is credit for it."""
        taken = outflow.offer(item)
        if taken:
            self._carrier.wake()
        return taken

    def answer(self, call_id: int, value: Any, metadata: dict[str, Any]) -> None:
        """End a host tool's call well.

        Raises:
            Unserialisable: the value cannot travel; the call is still open.
        """
        self._mux.answers.result(call_id, value, metadata)
        self._carrier.wake()

    def answer_error(self, call_id: int, info: dict[str, Any]) -> None:
        """End a host tool's call with an error: plain values only."""
        self._mux.answers.error(call_id, info)
        self._carrier.wake()

    def end_session(self, session_id: str, reason: str) -> None:
        """Tell the worker that a session is over, and what it left there may go."""
        self._mux.end_session(session_id, reason)
        self._carrier.wake()

    def ping(self, token: int) -> None:
        """Ask the worker for a sign of life: a `Pong`."""
        self._mux.ping(token)
        self._carrier.wake()

    def look(self, token: int) -> None:
        """Ask where the worker's threads are: a `Stacks`."""
        self._mux.look(token)
        self._carrier.wake()

    def telemetry(self, settings: dict[str, Any]) -> None:
        """Tell the worker which events are wanted from now on."""
        self._mux.telemetry(settings)
        self._carrier.wake()

    def more_events(self) -> None:
        """Its last events have been taken: others may come."""
        self._mux.more_events()
        self._carrier.wake()

    def drain(self) -> None:
        """Tell the worker to leave when its calls have ended."""
        self._mux.drain()
        self._carrier.wake()

    async def close(self) -> None:
        """End the channel."""
        await self._carrier.close()
        if self._store is not None:
            self._store.close()

    # Called by the carrier ----------------------------------------------------------------------------------------------------

    def next_message(self) -> bytes | None:
        """What to write next; None: nothing waits."""
        return self._mux.next_message()

    def receive(self, message: bytes) -> bool:
        """A message has come. False: nothing more may be read."""
        try:
            for event in self._mux.receive(message):
                if isinstance(event, Fault):
                    self.fault = f"the worker sent something that is not the protocol: {event.reason}"
                    return False
                if isinstance(event, Shared):
                    self._answered(event.info)
                else:
                    self._on_event(event)
        except Exception as error:  # a fault of ours costs this worker, not the pool
            _log.exception("a worker's channel is closed because of an internal error")
            self.fault = f"internal error: {error!r}"
            return False
        return True

    def closed(self, reason: str) -> None:
        """Nothing more will come."""
        self._on_closed(self.fault or reason)
