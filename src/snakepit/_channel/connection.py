"""One worker's channel as the host sees it: frames to send, events as they come, and word of its end.

The multiplexer decides what is written and what a message means, a carrier moves the messages. Used by `_workers.worker`
from the loop's thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from snakepit.telemetry.logs import library_logger
from snakepit_bridge.shared.spool import Spool
from snakepit_bridge.shared.store import Store, unavailable
from snakepit_bridge.shared.tickets import Tickets
from snakepit_bridge.shared.views import NAME
from snakepit_bridge.wire.answering import Outflow
from snakepit_bridge.wire.attachments import Encoded
from snakepit_bridge.wire.codecs import Codec
from snakepit_bridge.wire.coding import BINARY_THRESHOLD
from snakepit_bridge.wire.frames import Failure, Fault, HostEvent, Result, Shared, Window
from snakepit_bridge.wire.host_side import HostMultiplexer
from snakepit_bridge.wire.payload import MAX_PAYLOAD
from snakepit_bridge.wire.plain import Unserialisable

from .carrier import Carrier

_log = library_logger("snakepit.channel")
_Asked = TypeVar("_Asked")

#: How often is looked for ends that are written down and do not come (seconds).
_LOOK_SECONDS = 0.02


class Connection:
    """Carries all calls of one worker.

    Args:
        on_event: called with each event, in order, on the loop's thread.
        on_closed: called once, with the reason, when nothing more will come.

    Attributes:
        takes_ahead: calls may be sent ahead: see `call_ahead`. takes_together: several in one frame; takes_sessions: those of sessions.
        on_look: called now and then while calls are there that were sent ahead, with whether none has ended since the last time.
        fault: what was wrong with what came, after which nothing more is read; empty: nothing.
    """

    _may_together = True

    def __init__(self, carrier: Carrier, codec: Codec, on_event: Callable[[HostEvent], None], on_closed: Callable[[str], None]) -> None:
        self._carrier = carrier
        self._mux = HostMultiplexer(codec)
        self._codec = codec
        self._store: Store | None = None
        self._on_event = on_event
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._tickets: Tickets | None = None
        self._spool: Spool | None = None
        self._ahead: set[int] = set()  # calls that were sent ahead, and perhaps some that have ended since the last look
        self._to_wake = self._looking = False
        self._ends = self._ends_seen = 0  # of calls; and when was looked last
        self.takes_ahead = self.takes_together = self.takes_sessions = False
        self.on_look: Callable[[bool], None] | None = None
        self.fault = ""

    def start(self, create_task: Callable[..., asyncio.Task[None]], name: str) -> None:
        """Begin to read and write; `create_task` is the owner's."""
        self._carrier.start(self, create_task, name)

    def set_up(self, threshold: int, shared_memory: int, max_payload: int, *, strict: bool, ahead: bool) -> None:
        """Agree with the worker on how what is large travels.

        Args:
            threshold: from so many bytes on, what is binary lies beside the rest.
            strict: answers that hold what cannot travel are errors.
            ahead: calls are to be sent ahead, if the worker can take them so.
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
        if ahead:
            self._offer_tickets()
        self._carrier.wake()

    def _offer_tickets(self) -> None:
        tickets, spool = self._tickets, self._spool = Tickets.made(), Spool.made(f"{NAME}-results")
        if tickets is not None and spool is not None:
            self._mux.setup({"tickets": tickets.where, "spool": spool.where, "arrived": 0})

    def recover(self, *, dead: bool = False) -> None:
        """Take what the worker has written down of calls whose end has not arrived: it is dead, or a tool holds its interpreter.

        They are taken in their order, as they arrive. What is not written down is on its way, unless the worker is dead: it is first.
        """
        written = self._spool.written() if self._spool is not None and not self.fault else {}
        for call_id in self._mux.open_calls if written else ():
            if call_id in written:
                self.receive(self._codec.array([written[call_id]]))
            elif not dead:
                return

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
        if "tickets" in info:
            self.takes_ahead = info["tickets"] is True and self._tickets is not None
            self.takes_together = self.takes_ahead and self._may_together and info.get("together") is True
            self.takes_sessions = self.takes_ahead and info.get("sessions") is True
            if self._spool is not None:
                self._spool.agreed()
            return
        if "arrived" in info:  # and so has what was sent before
            self._mux.setup({"arrived": info["arrived"]})
            self._carrier.wake()
            return
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
        self._asked(self._mux.call, call_id, tool, args, options, window)
        self._carrier.wake()

    @staticmethod
    def _asked(
        ask: Callable[..., _Asked], call_id: int, tool: str, args: dict[str, Any], options: dict[str, Any], window: Window
    ) -> _Asked:
        try:
            return ask(call_id, tool, args, options, window)
        except BaseException as error:
            if isinstance(error, Exception) or threading.current_thread() is threading.main_thread():  # Ctrl-C is for that thread
                raise
            # An argument's own code, which runs here, is not to end the loop of all calls.
            raise Unserialisable("", "dict", f"the code of one of them raised {type(error).__name__}") from error

    def call_ahead(self, call_id: int, tool: str, args: dict[str, Any], options: dict[str, Any], window: Window) -> bool:
        """Ask for a run after those that the worker was asked for before, unless its ticket is taken back until then.

        False: it would not arrive after them, or others before it, and nothing was sent: something large is on its way.

        Raises:
            Unserialisable: as `call`.
        """
        if not self._asked(self._mux.call_in_order, call_id, tool, args, {**options, "ahead": True}, window):
            return False
        if self._tickets is not None:  # else the channel is closed, and word of the worker's end is on its way
            self._tickets.put(call_id)  # before the worker can see the call; there is always room for so few
            self._ahead.add(call_id)
            self._look_later()
        self._wake_later()
        return True

    def call_together(self, tool: str, numbers: list[int], args: list[dict[str, Any]], options: dict[str, Any], window: Window) -> bool:
        """`call_ahead` for several short calls, in one frame. False: they have to be asked for one by one, and nothing was sent."""
        try:
            sent = self.takes_together and self._mux.call_many(tool, numbers, args, options, window)
        except BaseException as error:
            if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                raise
            return False  # which of them it is, and why, is found out when each is sent by itself
        if not sent:
            return False
        if self._tickets is not None:  # as above
            self._tickets.put(*numbers)
            self._ahead.update(numbers)
            self._look_later()
        self._wake_later()
        return True

    def _look(self) -> None:
        self._looking = False
        self._ahead.intersection_update(self._mux.open_calls)
        if self._ahead:
            self.recover()
            held_up, self._ends_seen = self._ends == self._ends_seen, self._ends
            if self.on_look is not None:
                self.on_look(held_up)
            self._look_later()

    def _look_later(self) -> None:
        if self._spool is not None and not self._looking:
            self._looking = True
            self._loop.call_later(_LOOK_SECONDS, self._look)

    def take_back(self, chosen: Callable[[list[int]], Collection[int]]) -> list[int]:
        """Of the calls that were sent ahead and have not begun, those that are chosen do not run there: their numbers.

        Also after the worker's end. `chosen`: of all of them, the oldest first, some.
        """
        there = self._tickets.take_all() if self._tickets is not None else []
        if self._tickets is None or not there:
            return []
        back = set(chosen(there))
        others = [number for number in there if number not in back]
        if others:
            self._tickets.put(*others)
        taken = [number for number in there if number in back]
        self._mux.take_back(taken, others=bool(others))
        self._wake_later()
        return taken

    def take_back_one(self, call_id: int) -> bool:
        """A call that was sent ahead does not run there; False: it has begun."""
        return bool(self.take_back(lambda _there: [call_id]))

    def _wake_later(self) -> None:
        """What is sent in one turn of the loop leaves together."""
        if not self._to_wake:
            self._to_wake = True
            self._loop.call_soon(self._wake_now)

    def _wake_now(self) -> None:
        self._to_wake = False
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
        for shared in (self._tickets, self._spool):
            if shared is not None:
                shared.close()
        self._tickets = self._spool = self.on_look = None
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
                    if "tickets" not in event.info:
                        continue
                self._ends += isinstance(event, (Result, Failure))
                self._on_event(event)
        except Exception as error:  # a fault of ours costs this worker, not the pool
            _log.exception("a worker's channel is closed because of an internal error")
            self.fault = f"internal error: {error!r}"
            return False
        return True

    def closed(self, reason: str) -> None:
        """Nothing more will come."""
        self._on_closed(self.fault or reason)
