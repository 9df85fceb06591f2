"""The host's half of the multiplexer: asks a worker to run tools, and answers what they ask of host tools. Plain state, no I/O.

Promises: whatever the worker sends, `receive` answers with events, never with an exception, and what a broken worker can pile
up here is bounded.
"""

from typing import Any, Dict, List, Optional, Tuple

from .answering import Answerer
from .asking import ANSWER_SHAPES, Asker
from .attachments import Store
from .codecs import Codec
from .frames import (
    BYE,
    CALL,
    CANCEL,
    CHUNK,
    CREDIT,
    DRAIN,
    END_SESSION,
    ERROR,
    EVENTS,
    HELLO,
    HOST_CALL,
    HOST_CALL_BASE,
    LOOK,
    MORE_EVENTS,
    NO_EVENTS,
    PING,
    PONG,
    PROGRESS,
    RECALL,
    RESULT,
    SETUP,
    SHARED,
    STACKS,
    STALLED,
    TELEMETRY,
    Bye,
    Events,
    Hello,
    HostCall,
    HostEvent,
    NoEvents,
    Pong,
    Progress,
    Shared,
    Stacks,
    Stalled,
    Unknown,
    Window,
)
from .inbox import Inbox, Violation
from .outbox import Outbox
from .payload import BESIDE_BYTES

#: Calls of host tools that one worker may have open at once; further ones are refused.
MAX_HOST_CALLS = 1024

_SHAPES = {
    **ANSWER_SHAPES,
    HELLO: (dict,),
    HOST_CALL: (str, dict, dict),
    CANCEL: (str,),
    CREDIT: (int, int),
    PROGRESS: (dict,),
    STALLED: (dict,),
    STACKS: (int, str),
    EVENTS: (list, int),
    NO_EVENTS: (str,),
    SHARED: (dict,),
    PONG: (int,),
    BYE: (str,),
}

_EVENT: Tuple[Any, ...] = (str, dict, dict, (int, float), str)


#: What a worker says with one field.
_SAYINGS: Dict[int, Any] = {HELLO: Hello, BYE: Bye, NO_EVENTS: NoEvents, SHARED: Shared}


class HostMultiplexer(Asker):
    """Carries all calls between the host and one worker over one ordered channel.

    Attributes:
        answers: the calls of host tools.
    """

    def __init__(self, codec: Codec, piece_bytes: Optional[int] = None) -> None:
        super().__init__(CALL, codec, Outbox(codec) if piece_bytes is None else Outbox(codec, piece_bytes))
        self.answers = Answerer(codec, self._outbox)
        self._inbox = Inbox(codec, _SHAPES, self._handle, Unknown, expects=self._expects)

    @property
    def open_calls(self) -> List[int]:
        """Calls that have not ended."""
        return list(self.calls)

    def cancel(self, call_id: int, reason: str) -> bool:
        """Say that a call is of no more use. True if the worker never saw it: then it has ended here and now."""
        unsent = super().cancel(call_id, reason)
        if unsent:
            self._inbox.forget(call_id)
        return unsent

    def call_in_order(self, call_id: int, name: str, args: Dict[str, Any], options: Dict[str, Any], window: Window) -> bool:
        """`call`, if this one arrives behind all others; False: it would overtake one, or others overtake it, and nothing was sent.

        Raises:
            Unserialisable: as `call`.
        """
        if self._outbox.is_leaving:
            return False
        self.call(call_id, name, args, options, window)
        if self._outbox.is_leaving:  # a part of it; none of that has left
            self.take_back([call_id])
            return False
        return True

    def take_back(self, numbers: List[int], *, others: bool = False) -> None:
        """Calls that were sent ahead do not run there; see `shared.tickets`. `others`: tickets of others were taken, and put back."""
        seen = [number for number in numbers if self.recall(number)]
        for number in numbers:
            self._inbox.forget(number)
        if seen or others:
            self._outbox.put_control(self._codec.encode((RECALL, 0, seen)))

    def ping(self, token: int) -> None:
        """Ask for a sign of life; a `Pong` with the same token answers."""
        self._outbox.put_control(self._codec.encode((PING, 0, token)))

    def look(self, token: int) -> None:
        """Ask where the worker's threads are; `Stacks` with the same token answers, once its carrier's thread gets a turn."""
        self._outbox.put_control(self._codec.encode((LOOK, 0, token)))

    def end_session(self, session_id: str, reason: str) -> None:
        """Tell the worker that a session is over. Its calls must have been cancelled before: a large one could come later."""
        self._outbox.put_control(self._codec.encode((END_SESSION, 0, session_id, reason)))

    def telemetry(self, settings: Dict[str, Any]) -> None:
        """Tell the worker which events are wanted from now on."""
        self._outbox.put_control(self._codec.encode((TELEMETRY, 0, settings)))

    def setup(self, settings: Dict[str, Any]) -> None:
        """Tell the worker's end of the channel what it may do."""
        self._outbox.put_control(self._codec.encode((SETUP, 0, settings)))

    def limit(self, max_payload: int) -> None:
        """No payload may be larger than this (bytes), in either direction."""
        self._outbox.max_payload = max_payload
        self._inbox.max_frame = max_payload + BESIDE_BYTES

    def more_events(self) -> None:
        """Its last events have been taken: others may come."""
        self._outbox.put_control(self._codec.encode((MORE_EVENTS, 0)))

    def drain(self) -> None:
        """Tell the worker, after all that waits, that nothing more will come: it leaves when its calls have ended."""
        self._outbox.put_last(self._codec.encode((DRAIN, 0)))

    def share(self, store: Store, *, lend: bool) -> None:
        """From here on attachments may lie in memory that both sides see: those that come, with `lend` also those that leave."""
        self._inbox.store = store
        self._outbox.lends = lend
        self._outbox.store = store

    def next_message(self) -> Optional[bytes]:
        """The next message to write, or None; see `Outbox.next_message`."""
        self._outbox.return_leases()
        return self._outbox.next_message()

    def receive(self, message: bytes) -> List[HostEvent]:
        """What a message from the worker means. Never raises."""
        return self._inbox.read(message)

    def _expects(self, call_id: int) -> bool:
        """May pieces come? Of open calls, and of a few that begin."""
        if call_id < HOST_CALL_BASE:
            return call_id in self.calls
        return self._inbox.holds(call_id) or self._inbox.held < MAX_HOST_CALLS

    def _handle(self, frame: List[Any]) -> Optional[HostEvent]:
        kind, call_id = frame[0], frame[1]
        if kind in (CHUNK, RESULT, ERROR):
            if kind != CHUNK:
                self._inbox.forget(call_id)
            return self.answered(frame)  # type: ignore[no-any-return]
        if kind == PROGRESS:
            return Progress(call_id, frame[2]) if call_id in self.calls else None
        if kind == STACKS:
            return Stacks(frame[2], frame[3])
        if kind == STALLED:
            return Stalled(call_id, frame[2]) if call_id in self.calls else None
        if kind == EVENTS:
            return _events(frame[2], frame[3])
        if kind == HOST_CALL:
            return self._host_call(call_id, frame[2], frame[3], frame[4])
        if kind == CREDIT:
            return self.answers.credit(call_id, frame[2], frame[3])
        if kind == CANCEL:
            self._inbox.forget(call_id)
            return self.answers.cancelled(call_id, frame[2])
        if kind == PONG:
            return Pong(frame[2])
        saying: HostEvent = _SAYINGS[kind](frame[2])
        return saying

    def _host_call(self, call_id: int, name: str, args: Dict[str, Any], options: Dict[str, Any]) -> Optional[HostEvent]:
        if call_id < HOST_CALL_BASE:
            raise Violation("call %d of a host tool has a number of the host's own" % call_id)
        full = len(self.answers.open_calls) >= MAX_HOST_CALLS
        self.answers.opened(call_id, options)
        if full:
            message = "this worker has %d calls of host tools open already" % MAX_HOST_CALLS
            self.answers.error(call_id, {"code": "too_many_host_calls", "type": "", "message": message, "traceback": "", "chunk": None})
            return None
        return HostCall(call_id, name, args, options)


def _events(events: List[Any], dropped: int) -> Events:
    for event in events:
        if not isinstance(event, list) or len(event) < len(_EVENT) or not all(map(isinstance, event, _EVENT)):
            raise Violation("an event is an array [name, measurements, metadata, time, correlation id]")
    return Events(events, dropped)
