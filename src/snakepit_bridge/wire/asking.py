"""The asking side of calls: open them, give them up, take their chunks and ends in. Plain state, no I/O.

The host asks a worker to run tools, a worker asks the host to run host tools: both by this. Promises: events of one call come
in order, none lost or doubled; no stream is ever ahead of its consumer by more than its window.
"""

from typing import Any, Dict, List, Optional

from .codecs import Codec
from .frames import CALLS, CANCEL, CHUNK, CREDIT, ERROR, PIECE_BYTES, RESULT, Chunks, Failure, Result, Window
from .inbox import Violation
from .outbox import Lane, Outbox

#: Options of a call that hold what is a user's.
_THEIRS = frozenset(("session", "binary"))
_MAYBE_DICT = (dict, type(None))

#: The frames that answer a call, and the types of their fields.
ANSWER_SHAPES = {CHUNK: (int, list, int, _MAYBE_DICT), RESULT: (object, dict), ERROR: (dict,)}


class _OpenCall:
    """What the asker knows of a call that has not ended: the next chunk's number, and the credit that is out."""

    __slots__ = ("bytes_out", "cancelled", "chunks_out", "lane", "next", "window")

    def __init__(self, window: Window, lane: Lane) -> None:
        self.window = window
        self.lane = lane
        self.next = 0
        self.chunks_out = 0  # received and not yet granted again
        self.bytes_out = 0
        self.cancelled = False


class Asker:
    """The calls that one side has asked for.

    Args:
        kind: of the frame that asks: `CALL` or `HOST_CALL`.
    """

    def __init__(self, kind: int, codec: Codec, outbox: Outbox) -> None:
        self._kind = kind
        self._codec = codec
        self._outbox = outbox
        self.calls: Dict[int, _OpenCall] = {}

    def call(self, call_id: int, name: str, args: Dict[str, Any], options: Dict[str, Any], window: Window) -> None:
        """Ask for one run.

        Raises:
            Unserialisable: an argument cannot travel, or all of them are too large (`TooLarge`); nothing was sent.
        """
        asked = (self._kind, call_id, name, args, {**options, "window": list(window)})
        frame = self._codec.pack_frame(asked, args if _THEIRS.isdisjoint(options) else asked)
        self._outbox.check("arguments", frame, self._codec, args, *(options["binary"],) if "binary" in options else ())
        call = self.calls[call_id] = _OpenCall(window, Lane(call_id))
        self._outbox.put(call.lane, frame)

    def call_many(self, name: str, numbers: List[int], args: List[Dict[str, Any]], options: Dict[str, Any], window: Window) -> bool:
        """Ask for a run for each of these arguments, in one small frame. False: they do not fit into one; nothing was sent.

        Raises:
            Unserialisable: an argument cannot travel; nothing was sent.
        """
        frame = self._codec.pack_frame((CALLS, 0, name, numbers, args, {**options, "window": list(window)}), args)
        if not isinstance(frame, bytes) or len(frame) > PIECE_BYTES:
            return False
        for number in numbers:
            self.calls[number] = _OpenCall(window, Lane(number))
        self._outbox.put_control(frame)
        return True

    def cancel(self, call_id: int, reason: str) -> bool:
        """Say that a call is of no more use. True if the other side never saw it: then it has ended here and now."""
        call = self.calls.get(call_id)
        if call is None or call.cancelled:
            return False
        call.cancelled = True
        unsent = call.lane.queued
        partly = self._outbox.drop(call.lane)
        if unsent:
            del self.calls[call_id]
        if partly or not unsent:
            self._outbox.put_control(self._codec.encode((CANCEL, call_id, reason)))
        return unsent

    def recall(self, call_id: int) -> bool:
        """A call does not run there after all: it is no longer asked for. True if the other side may have seen it, and is to be told."""
        call = self.calls.pop(call_id, None)
        if call is None:
            return False
        unsent = call.lane.queued
        return self._outbox.drop(call.lane) or not unsent

    def grant(self, call_id: int, chunks: int, nbytes: int) -> None:
        """The consumer has taken chunks; as many more may come."""
        call = self.calls.get(call_id)
        if call is None or call.cancelled or not chunks:
            return
        call.chunks_out -= chunks
        call.bytes_out -= nbytes
        self._outbox.put_control(self._codec.encode((CREDIT, call_id, chunks, nbytes)))

    def answered(self, frame: List[Any]) -> Any:
        """What a frame that answers a call means; None if nobody waits for it."""
        kind, call_id = frame[0], frame[1]
        if kind == CHUNK:
            return self._chunks(call_id, frame[2], frame[3], frame[4], frame[5])
        call = self.calls.pop(call_id, None)
        if call is None:
            return None
        said = frame[3].get("chunks") if kind == RESULT and not call.cancelled else None
        if type(said) is int and said != call.next:
            raise Violation("call %d ended after %d chunks, and %d have come" % (call_id, said, call.next))
        return Result(call_id, frame[2], frame[3]) if kind == RESULT else Failure(call_id, frame[2])

    def _chunks(self, call_id: int, first: int, payloads: List[Any], nbytes: int, extra: Any) -> Optional[Chunks]:
        call = self.calls.get(call_id)
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
