"""The multiplexer with a lock around it, for the two threads of a worker: one carries messages, one runs tools.

The carrier calls `receive` and `next_message` and is told when something waits to be written. Tools' threads call the rest.
A stream without credit waits here.
"""

import collections
import contextlib
import os
import threading
import time
from typing import Any, Callable, Deque, Dict, List, Optional

from ..call_context import Cancelled
from ..shared.spool import Spool
from ..shared.store import Store
from ..shared.tickets import Tickets
from ..wire.attachments import Encoded
from ..wire.codecs import Codec
from ..wire.event_queue import EventQueue
from ..wire.frames import Cancel, Chunks, Credit, Failure, Result, Setup, Window, WorkerEvent
from ..wire.outbox import AGAIN
from ..wire.plain import Unserialisable
from ..wire.worker_side import Outflow, WorkerMultiplexer
from .asks import Ask, Asks
from .events import Events
from .safe_results import SafeResults
from .writer import Writer

#: So long a result waits for others to leave with it (seconds).
_LATER_SECONDS = 1e-3


class Link:
    """One worker's end of the channel.

    Args:
        codec: how values travel.
        writer: who takes the messages.

    Attributes:
        takes_ahead: calls may be sent ahead to this worker: its main thread runs them one by one. takes_sessions: those of sessions, too.
        tickets: theirs; None: none are sent ahead.
    """

    def __init__(self, codec: Codec, writer: Writer) -> None:
        self._codec = codec
        answers = codec.for_answers()
        self.encode = answers.encode
        self.pack = answers.pack_value
        self._writer = writer
        self._wake = writer.wake
        self._mux = WorkerMultiplexer(codec)
        self.packed = self._mux.packed
        self.own = self._mux.own
        self._lock = threading.Lock()
        self._credit = threading.Condition(self._lock)
        self._due = 0.0  # by when it is to be told of results that wait for others; 0: of none
        self._told = False  # the writer has been told and the carrier has not yet found the outbox empty
        self._credit_callbacks: Dict[int, Callable[[], Any]] = {}
        self._silent = False
        self._over = False  # the channel has ended
        self._store: Optional[Store] = None
        self.takes_ahead = self.takes_sessions = False
        self.tickets: Optional[Tickets] = None
        self._safe = SafeResults(self._lock, lambda: not self._told, lambda: self._silent or self._over)
        self.asks = Asks()
        self._dropped: Deque[Ask] = collections.deque()  # given up by a garbage collection, which may run under the lock

    # The carrier's thread ----------------------------------------------------------------------------------------------

    def receive(self, message: bytes) -> List[WorkerEvent]:
        """Book what a message from the host says; the events are for the executor."""
        callbacks: List[Optional[Callable[[], Any]]] = []
        with self._lock:
            events = self._mux.receive(message)
            for event in events:
                if isinstance(event, (Chunks, Result, Failure)):
                    callbacks.append(self.asks.take(event))
                    continue
                if isinstance(event, Cancel):
                    callbacks += self.asks.parent_cancelled(event.call_id)
                if isinstance(event, (Credit, Cancel)):
                    self._credit.notify_all()
                    callbacks.append(self._credit_callbacks.get(event.call_id))
            # A ping is answered, and a held report may go, without any tool's doing.
            wake = self._mux.has_output and not self._told
            self._told = self._told or wake
        for callback in callbacks:
            if callback is not None:
                callback()
        for event in events:
            if isinstance(event, Setup):
                wake = self._set_up(event.settings) or wake
        if wake:
            self._wake()
        return events

    def _set_up(self, settings: Dict[str, Any]) -> bool:
        """Do what the host wants; share memory with it, step by step as `shared.store` has it. True: there is something to say."""
        probe, store = settings.get("shared"), self._store
        if type(settings.get("threshold")) is int:
            self._codec.terms.threshold = settings["threshold"]
        if type(settings.get("arrived")) is int:
            self._safe.has_arrived(settings["arrived"])
        if settings.get("strict") is True:
            self._codec.terms.strict = True
        if isinstance(probe, dict) and store is None:
            store = self._store = Store(int(probe.get("limit", 0)), self._wake_for_event)
            answer = (store.probe() if store.reads(probe) else None) or {"reason": store.reason}
            with self._lock:
                self._mux.share(store, lend=False)
                self._mux.shared(answer)
            return True
        if settings.get("lend") and store is not None:
            with self._lock:
                self._mux.share(store, lend=True)
        if "tickets" in settings and self.tickets is None:
            spool = self._safe.spool = Spool.found(settings.get("spool")) if self.takes_ahead else None
            self.tickets = Tickets.found(settings["tickets"]) if spool is not None else None
            with self._lock:
                self._mux.shared({"tickets": self.tickets is not None, "together": True, "sessions": self.takes_sessions})
            return True
        return False

    def next_message(self) -> Optional[bytes]:
        """What to write next, or None."""
        while True:
            with self._lock:
                while self._dropped:
                    ask = self._dropped.popleft()
                    self.asks.close(ask)
                    self._mux.asks.cancel(ask.call_id, "the tool dropped it")
                message = self._mux.next_message()
                if message is None:
                    self._told = False
                    if self._safe.waits:
                        self._safe.tell()
            if message != AGAIN:  # of what is copied meanwhile, a part at a time, nothing is to be written
                return message

    def more(self) -> bool:
        """Is there more to write, now that what `next_message` gave has left? If not, `next_message` need not say so."""
        with self._lock:
            if self._mux.has_output or self._dropped:
                return True
            self._told = False
            if self._safe.waits:
                self._safe.tell()
            return False

    # Threads that run tools ----------------------------------------------------------------------------------------------

    def hello(self, info: Dict[str, Any]) -> None:
        """Introduce this worker."""
        with self._lock:
            self._mux.hello(info)
        self._tell()

    def bye(self, reason: str) -> None:
        """Say that this worker leaves."""
        with self._lock:
            self._mux.bye(reason)
        self._tell()

    def carry(self, events: Events) -> None:
        """Send what tools emit, when the host wants it."""
        queue = self._mux.events = EventQueue(self._wake_for_event)
        events.open(self._codec.encode, queue)

    def _wake_for_event(self) -> None:
        """Takes no lock that this very thread may hold."""
        with contextlib.suppress(RuntimeError):  # the carrier's loop has ended
            self._writer.wake_for_flood()

    def outflow(self, call_id: int) -> Outflow:
        """The sending side of a call that streams."""
        with self._lock:
            return self._mux.outflow(call_id) or Outflow.closed(call_id)

    def offer_chunk(self, outflow: Outflow, item: Encoded, extra: Optional[Dict[str, Any]]) -> bool:
        """Send an encoded chunk if there is credit for it."""
        with self._lock:
            taken = outflow.offer(item, extra)
            wake = taken and not self._told
            if wake:
                self._told = True
        if wake:  # rarely in a flood: the carrier is busy
            if outflow.floods(time.monotonic()):
                self._writer.wake_for_flood()
            else:
                self._writer.wake_for_chunk()
            outflow.mark(time.monotonic())
        return taken

    def wait_to_send(self, outflow: Outflow, item: Encoded, extra: Optional[Dict[str, Any]]) -> None:
        """Send an encoded chunk, waiting for credit as long as it takes.

        Raises:
            Cancelled: the call was cancelled meanwhile.
        """
        with self._credit:
            while not outflow.offer(item, extra):
                self._credit.wait()
        if outflow.cancelled:
            raise Cancelled
        self._tell()

    def wait_reported(self, outflow: Outflow) -> None:
        """Wait until the newest report of a stream that is about to end has left: it says how far the work came."""
        with self._credit:
            while outflow.held is not None and not outflow.cancelled:
                self._credit.wait()

    def on_credit(self, call_id: int, callback: Optional[Callable[[], Any]]) -> None:
        """Call back (on the carrier's thread) when a stream may have credit again or is cancelled; None: no more."""
        with self._lock:
            if callback is None:
                self._credit_callbacks.pop(call_id, None)
            else:
                self._credit_callbacks[call_id] = callback

    def progress(self, call_id: int, payload: Dict[str, Any], as_chunk: bool) -> None:
        """Report on a call: as a chunk of its stream, or beside its result. Never waits.

        Raises:
            TypeError: the report cannot travel.
        """
        try:
            item = self.encode(payload) if as_chunk else b""
            with self._lock:
                if as_chunk:
                    self._mux.offer_progress(call_id, item)
                else:
                    self._mux.progress(call_id, payload)
        except Unserialisable as error:
            raise TypeError("a progress report cannot travel: %s" % error) from None
        self._tell()

    def check_snapshot(self, data: Any) -> None:
        """See whether something can go beside the end of a call.

        Raises:
            Unserialisable: it cannot.
        """
        self._mux.check("snapshot", self._codec.pack_value(data), data)

    def ask(self, parent: int, name: str, args: Dict[str, Any], options: Dict[str, Any]) -> Ask:
        """Call a host tool for an open call.

        Raises:
            Unserialisable: an argument cannot travel.
        """
        with self._lock:
            ask = self.asks.open(parent)
            try:
                self._mux.asks.call(ask.call_id, name, args, {**options, "parent": parent}, Window())
            except BaseException:
                self.asks.close(ask)
                raise
        self._tell()
        return ask

    def grant(self, ask: Ask, chunks: int, nbytes: int) -> None:
        """Items of a host tool's stream have been taken: as many more may come."""
        with self._lock:
            self._mux.asks.grant(ask.call_id, chunks, nbytes)
        self._tell()

    def give_up(self, ask: Ask, reason: str) -> None:
        """A call of a host tool is of no more use; harmless when it has ended."""
        with self._lock:
            self.asks.close(ask)
            self._mux.asks.cancel(ask.call_id, reason)
        self._tell()

    def drop(self, ask: Ask) -> None:
        """`give_up` for what is being destroyed: takes no lock, which this very thread may hold."""
        self._dropped.append(ask)
        with contextlib.suppress(RuntimeError):  # the carrier's loop has ended, and every call with it
            self._writer.wake_for_flood()

    def give_up_all(self, parent: int) -> None:
        """A call has ended: so do its calls of host tools."""
        for ask in self.asks.of(parent):
            self.give_up(ask, "the tool that asked has ended")

    def is_wanted(self, call_id: int) -> bool:
        """Is this call open, and not cancelled?"""
        with self._lock:
            outflow = self._mux.outflow(call_id)
        return outflow is not None and not outflow.cancelled

    def chunks_sent(self, call_id: int) -> int:
        """How many chunks of an open call have been taken for sending."""
        with self._lock:
            return self._mux.chunks_sent(call_id)

    def result(self, call_id: int, value: Any, metadata: Dict[str, Any], *, later: bool = False) -> None:
        """End a call well. `later`: this may leave with another one's, if that comes within a millisecond; else see `flush`.

        Raises:
            Unserialisable: the value cannot travel; the call is still open.
        """
        # A large value is encoded and copied outside of the lock; what has streamed is counted in it.
        frame = None if metadata.get("streamed") else self._mux.result_frame(call_id, value, metadata)
        if frame is not None and self.tickets is not None:
            self._secure_later(call_id, frame)
        with self._lock:
            if frame is not None and not self._silent:
                self._mux.end(call_id, frame)
            elif not self._silent:
                self._mux.result(call_id, value, metadata)
            if later and not self._safe.pending:
                now = time.monotonic()
                self._due = self._due or now + _LATER_SECONDS
                if now < self._due:
                    return
        self._tell()

    def _secure_later(self, call_id: int, frame: Encoded) -> None:
        outflow = self._mux.outflow(call_id)
        reported = outflow is not None and outflow.reported
        self._safe.about_to_leave(call_id, frame, first=not reported)  # the host would read it before reports that are on their way

    def flush(self) -> None:
        """Have results leave that wait for others."""
        if self._due:
            self._tell()

    def secure(self) -> None:
        """Return when the results that were sent are safe: the end of this process would not take them along."""
        if self._safe.pending:
            self._safe.secure(None if self._writer.sure else self._ask_arrival)

    def _ask_arrival(self, token: int) -> None:
        with self._lock:
            self._mux.shared({"arrived": token})
        self._tell()

    def error(self, call_id: int, info: Dict[str, Any]) -> None:
        """End a call with an error."""
        frame = self._mux.error_frame(call_id, info)
        if self.tickets is not None:
            self._secure_later(call_id, frame)
        with self._lock:
            if not self._silent:
                self._mux.end(call_id, frame)
        self._tell()

    def stacks(self, token: int, text: str) -> None:
        """Say where the threads are."""
        with self._lock:
            self._mux.stacks(token, text)
        self._tell()

    def stalled(self, call_id: int, info: Dict[str, Any]) -> None:
        """Say that a call hangs."""
        with self._lock:
            self._mux.stalled(call_id, info)
        self._tell()

    def fall_silent(self) -> None:
        """The channel is broken, and what runs is given up for that: how it ends would mislead who waits. Goodbye is still said."""
        with self._lock:
            self._silent = True

    def channel_ended(self) -> None:
        """Nothing leaves any more: nobody is to wait for that, nor for what host tools would answer."""
        with self._lock:
            self._over = True
            self._safe.tell()
        self.asks.parents_gone()

    def after_fork_in_child(self) -> None:
        """A tool has forked: the child has no carrier and no say. It touches no lock, which another thread may have held."""
        self.result = self.error = self.progress = lambda *_args, **_more: None  # type: ignore[assignment,method-assign,misc,unused-ignore]
        self.chunks_sent = lambda _call_id: 0  # type: ignore[method-assign,assignment,unused-ignore]
        self.on_credit = lambda *_args: None  # type: ignore[method-assign,assignment,unused-ignore]
        if self.tickets is not None:
            self.tickets.close()
        self._lock = self._credit = _Leave()  # type: ignore[assignment,unused-ignore]

    def _tell(self) -> None:
        with self._lock:
            told, self._told, self._due = self._told, True, 0.0
        if not told:
            self._wake()


class _Leave:
    """In a forked child, in the place of the lock: whatever would send a chunk ends the child, also by a method bound before."""

    def __enter__(self) -> None:
        os._exit(0)

    def __exit__(self, *_args: object) -> None: ...
