"""The host's half of the multiplexer: calls out, chunks and results in. Plain state, no I/O, one thread.

Promises: events of one call come in order, none lost or doubled; no stream is ever ahead of its consumer by more than
its window; whatever the worker sends, `receive` answers with events, never with an exception.
"""

from typing import Any, Dict, List, Optional

from .codecs import Codec
from .frames import (
    BYE,
    CALL,
    CANCEL,
    CHUNK,
    CREDIT,
    DRAIN,
    ERROR,
    HELLO,
    PING,
    PONG,
    PROGRESS,
    RESULT,
    Bye,
    Chunks,
    Failure,
    Hello,
    HostEvent,
    Pong,
    Progress,
    Result,
    Unknown,
    Window,
)
from .inbox import Inbox, Violation
from .outbox import Lane, Outbox

_MAYBE_DICT = (dict, type(None))

_SHAPES = {
    HELLO: (dict,),
    CHUNK: (int, list, int, _MAYBE_DICT),
    RESULT: (object, dict),
    ERROR: (dict,),
    PROGRESS: (dict,),
    PONG: (int,),
    BYE: (str,),
}


class _OpenCall:
    """What the host knows of a call that has not ended: the next chunk's number, and the credit that is out."""

    __slots__ = ("bytes_out", "cancelled", "chunks_out", "lane", "next", "window")

    def __init__(self, window: Window, lane: Lane) -> None:
        self.window = window
        self.lane = lane
        self.next = 0
        self.chunks_out = 0  # received and not yet granted again
        self.bytes_out = 0
        self.cancelled = False


class HostMultiplexer:
    """Carries all calls of one worker over one ordered channel."""

    def __init__(self, codec: Codec, piece_bytes: Optional[int] = None) -> None:
        self._codec = codec
        self._outbox = Outbox(codec) if piece_bytes is None else Outbox(codec, piece_bytes)
        self._inbox = Inbox(codec, _SHAPES, self._handle, Unknown, expects=lambda call_id: call_id in self._calls)
        self._calls: Dict[int, _OpenCall] = {}

    @property
    def open_calls(self) -> List[int]:
        """Calls that have not ended."""
        return list(self._calls)

    def call(self, call_id: int, tool: str, args: Dict[str, Any], options: Dict[str, Any], window: Window) -> None:
        """Ask for one run of a tool.

        Raises:
            Unserialisable: an argument cannot travel; nothing was sent.
        """
        frame = self._codec.encode((CALL, call_id, tool, args, {**options, "window": list(window)}))
        call = self._calls[call_id] = _OpenCall(window, Lane(call_id))
        self._outbox.put(call.lane, frame)

    def cancel(self, call_id: int, reason: str) -> bool:
        """Say that a call is of no more use. True if the worker never saw it: then it has ended here and now."""
        call = self._calls.get(call_id)
        if call is None or call.cancelled:
            return False
        call.cancelled = True
        unsent = call.lane.queued
        partly = self._outbox.drop(call.lane)
        if unsent:
            self._end(call_id)
        if partly or not unsent:
            self._outbox.put_control(self._codec.encode((CANCEL, call_id, reason)))
        return unsent

    def grant(self, call_id: int, chunks: int, nbytes: int) -> None:
        """The consumer has taken chunks; as many more may come."""
        call = self._calls.get(call_id)
        if call is None or call.cancelled or not chunks:
            return
        call.chunks_out -= chunks
        call.bytes_out -= nbytes
        self._outbox.put_control(self._codec.encode((CREDIT, call_id, chunks, nbytes)))

    def ping(self, token: int) -> None:
        """Ask for a sign of life; a `Pong` with the same token answers."""
        self._outbox.put_control(self._codec.encode((PING, 0, token)))

    def drain(self) -> None:
        """Tell the worker, after all that waits, that nothing more will come: it leaves when its calls have ended."""
        self._outbox.put_last(self._codec.encode((DRAIN, 0)))

    def next_message(self) -> Optional[bytes]:
        """The next message to write, or None."""
        return self._outbox.next_message()

    def receive(self, message: bytes) -> List[HostEvent]:
        """What a message from the worker means. Never raises."""
        return self._inbox.read(message)

    def _end(self, call_id: int) -> Optional[_OpenCall]:
        self._inbox.forget(call_id)
        return self._calls.pop(call_id, None)

    def _handle(self, frame: List[Any]) -> Optional[HostEvent]:
        kind, call_id = frame[0], frame[1]
        if kind == CHUNK:
            return self._chunks(call_id, frame[2], frame[3], frame[4], frame[5])
        if kind == RESULT:
            return Result(call_id, frame[2], frame[3]) if self._end(call_id) else None
        if kind == ERROR:
            return Failure(call_id, frame[2]) if self._end(call_id) else None
        if kind == PROGRESS:
            return Progress(call_id, frame[2]) if call_id in self._calls else None
        if kind == HELLO:
            return Hello(frame[2])
        return Pong(frame[2]) if kind == PONG else Bye(frame[2])

    def _chunks(self, call_id: int, first: int, payloads: List[Any], nbytes: int, extra: Any) -> Optional[HostEvent]:
        call = self._calls.get(call_id)
        if call is None or call.cancelled:
            return None
        if first != call.next or not payloads:
            raise Violation("chunk %d of call %d came where chunk %d was due" % (first, call_id, call.next))
        count = len(payloads)
        alone = call.chunks_out == 0 and count == 1
        call.next += count
        call.chunks_out += count
        call.bytes_out += nbytes
        if nbytes < 0 or call.chunks_out > call.window.chunks or (call.bytes_out > call.window.bytes and not alone):
            raise Violation("the stream of call %d went beyond its window" % call_id)
        return Chunks(call_id, first, payloads, nbytes, extra)
