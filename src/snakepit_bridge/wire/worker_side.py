"""The worker's half of the multiplexer: answers the host's calls, and asks for its host tools. Plain state, no I/O.

Not for two threads at once: the runtime holds a lock around it.
"""

from typing import Any, Dict, List, Optional

from .answering import Answerer, Outflow
from .asking import ANSWER_SHAPES, Asker
from .attachments import Store
from .codecs import Codec
from .event_queue import EventQueue
from .frames import (
    BYE,
    CALL,
    CALLS,
    CANCEL,
    CHUNK,
    CREDIT,
    DRAIN,
    END_SESSION,
    ERROR,
    EVENTS,
    HELLO,
    HOST_CALL,
    LOOK,
    MORE_EVENTS,
    NO_EVENTS,
    PING,
    PONG,
    RECALL,
    RESULT,
    SETUP,
    SHARED,
    STACKS,
    STALLED,
    TELEMETRY,
    Call,
    Calls,
    Drain,
    EndSession,
    Look,
    Recall,
    Setup,
    Telemetry,
    Unknown,
    WorkerEvent,
)
from .inbox import Inbox
from .outbox import Lane, Outbox
from .payload import BESIDE_BYTES

__all__ = ["Outflow", "WorkerMultiplexer"]

_SHAPES = {
    **ANSWER_SHAPES,
    CALL: (str, dict, dict),
    CALLS: (str, list, list, dict),
    CANCEL: (str,),
    CREDIT: (int, int),
    PING: (int,),
    LOOK: (int,),
    DRAIN: (),
    END_SESSION: (str, str),
    TELEMETRY: (dict,),
    SETUP: (dict,),
    MORE_EVENTS: (),
    RECALL: (list,),
}


#: What the host says that changes nothing here.
_SAYINGS: Dict[int, Any] = {LOOK: Look, END_SESSION: EndSession, TELEMETRY: Telemetry}


class WorkerMultiplexer(Answerer):
    """Carries all calls between one worker and its host over one ordered channel.

    Attributes:
        asks: the calls of host tools.
        events: telemetry that waits; None: this side has none.
    """

    def __init__(self, codec: Codec, piece_bytes: Optional[int] = None) -> None:
        super().__init__(codec, Outbox(codec) if piece_bytes is None else Outbox(codec, piece_bytes))
        self.asks = Asker(HOST_CALL, codec, self._outbox)
        self._inbox = Inbox(codec, _SHAPES, self._handle, Unknown)
        self.events: Optional[EventQueue] = None
        self._events_lane = Lane(0)

    @property
    def has_output(self) -> bool:
        """Does anything wait to be written?"""
        return bool(self._outbox) or bool(self._reporting) or (self.events is not None and self.events.ready)

    def hello(self, info: Dict[str, Any]) -> None:
        """Introduce this worker: the first frame it sends."""
        self._outbox.put_control(self.codec.encode((HELLO, 0, info)))

    def stalled(self, call_id: int, info: Dict[str, Any]) -> None:
        """Say that an open call hangs."""
        if call_id in self._calls:
            self._outbox.put_control(self.codec.encode((STALLED, call_id, info)))

    def stacks(self, token: int, text: str) -> None:
        """Answer a `Look`."""
        self._outbox.put_control(self.codec.encode((STACKS, 0, token, text)))

    def shared(self, info: Dict[str, Any]) -> None:
        """Say what is shared; see `shared.store`."""
        self._outbox.put_control(self.codec.encode((SHARED, 0, info)))

    def no_events(self, reason: str) -> None:
        """Say why no events come from here; empty: they do."""
        self._outbox.put_control(self.codec.encode((NO_EVENTS, 0, reason)))

    def bye(self, reason: str) -> None:
        """Say that this worker leaves, after all that waits."""
        while self.events:
            self._send_events(at_last=True)
        self._outbox.put_last(self.codec.encode((BYE, 0, reason)))

    def share(self, store: Store, *, lend: bool) -> None:
        """From here on attachments may lie in memory that both sides see: those that come, with `lend` also those that leave."""
        self._inbox.store = store
        self._outbox.lends = lend
        self._outbox.store = store

    def next_message(self) -> Optional[bytes]:
        """The next message to write, or None; see `Outbox.next_message`."""
        self._outbox.return_leases()
        self.send_reports()
        if self.events is not None:
            self._send_events()
        return self._outbox.next_message()

    def receive(self, message: bytes) -> List[WorkerEvent]:
        """What a message from the host means. Never raises."""
        return self._inbox.read(message)

    def _send_events(self, *, at_last: bool = False) -> None:
        """In a lane of their own: control frames go first, and streams take turns with them."""
        batch = self.events.take(at_last=at_last) if self.events is not None else None
        if batch is not None:
            encode, array = self.codec.encode, self.codec.array
            self._events_lane.frames.append(array((encode(EVENTS), encode(0), array(batch.items), encode(batch.dropped))))
            self._outbox.enqueue(self._events_lane)

    def _limit(self, max_payload: Any) -> None:
        """At once: what comes in the same message is held to it."""
        if type(max_payload) is int and max_payload > 0:
            self._outbox.max_payload = max_payload
            self._inbox.max_frame = max_payload + BESIDE_BYTES

    def _recalled(self, numbers: List[Any]) -> Recall:
        for number in numbers:
            self._inbox.forget(number)
            self.forget(number)
        return Recall(numbers)

    def _handle(self, frame: List[Any]) -> Optional[WorkerEvent]:
        kind, call_id = frame[0], frame[1]
        if kind == CALL:
            self.opened(call_id, frame[4])
            return Call(call_id, frame[2], frame[3], frame[4])
        if kind == CALLS:
            self.opened_many(frame[3], frame[4], frame[5])
            return Calls(frame[2], frame[3], frame[4], frame[5])
        if kind == CREDIT:
            return self.credit(call_id, frame[2], frame[3])
        if kind == CANCEL:
            self._inbox.forget(call_id)
            return self.cancelled(call_id, frame[2])
        if kind in (CHUNK, RESULT, ERROR):
            return self.asks.answered(frame)  # type: ignore[no-any-return]
        if kind == PING:
            self._outbox.put_control(self.codec.encode((PONG, 0, frame[2])))
            return None
        if kind in _SAYINGS:
            saying: WorkerEvent = _SAYINGS[kind](*frame[2 : 2 + len(_SHAPES[kind])])
            return saying
        if kind == SETUP:
            self._limit(frame[2].get("max_payload"))
            return Setup(frame[2])
        if kind == RECALL:
            return self._recalled(frame[2])
        if kind == MORE_EVENTS:
            if self.events is not None:
                self.events.go_on()
            return None
        return Drain()
