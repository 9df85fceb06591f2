"""From messages to well-formed frames: decoding, putting pieces together, checking shapes. Never raises.

Both multiplexers read through this. A fault is final: what comes after it is ignored.
"""

from typing import Any, Callable, Dict, List, Tuple

from .codecs import Codec
from .frames import PIECE, Fault

#: A frame put together from pieces may not grow beyond this (bytes).
MAX_FRAME_BYTES = 4 * 1024 * 1024 * 1024

#: Kinds and call ids stay below this: an integer may be as long as its message, and the numbers of frames are remembered.
_NUMBERS_END = 2**64

#: kind -> the types its fields after the call id must have
Shapes = Dict[int, Tuple[Any, ...]]


class Inbox:
    """Reads messages of one direction.

    Args:
        codec: how values are encoded.
        shapes: the kinds that may come, and their fields' types.
        handle: called with each well-formed frame; returns an event or None; raises `Violation` if it cannot be.
        unknown: called with a kind that is not in `shapes`.
        expects: may pieces of this call come? Others are dropped, so that nobody fills the memory with them.
        max_frame: largest frame that pieces may build (bytes).
    """

    def __init__(
        self,
        codec: Codec,
        shapes: Shapes,
        handle: Callable[[List[Any]], Any],
        unknown: Callable[[Any], Any],
        expects: Callable[[int], bool] = lambda _call_id: True,
        max_frame: int = MAX_FRAME_BYTES,
    ) -> None:
        self._codec = codec
        self._shapes = dict(shapes)
        self._shapes[PIECE] = (bool, bytes)
        self._handle = handle
        self._unknown = unknown
        self._expects = expects
        self._max_frame = max_frame
        self._parts: Dict[int, bytearray] = {}
        self._seen_unknown: set[Any] = set()
        self.broken = False

    def read(self, message: bytes) -> List[Any]:
        """The events one message means; the last is a `Fault` if it is not the protocol."""
        if self.broken:
            return []
        events: List[Any] = []
        try:
            frames = self._codec.decode(message)
            if not isinstance(frames, list):
                raise Violation("a message is an array of frames, not %s" % type(frames).__name__)
            for frame in frames:
                self._read_frame(frame, events)
        except Exception as error:  # Malformed and Violation say it in words; a RecursionError comes from what is nested too deeply.
            self.broken = True
            self._parts.clear()
            events.append(Fault(str(error) or type(error).__name__))
        return events

    def forget(self, call_id: int) -> None:
        """A call is over; pieces of it that came so far are dropped."""
        self._parts.pop(call_id, None)

    @property
    def held(self) -> int:
        """Of how many calls parts of a frame have come, and not all."""
        return len(self._parts)

    def holds(self, call_id: int) -> bool:
        """Have parts of a frame of this call come?"""
        return call_id in self._parts

    def _read_frame(self, frame: Any, events: List[Any]) -> None:
        if not isinstance(frame, list) or len(frame) < 2:
            raise Violation("a frame is an array [kind, call id, ...], not %s" % _shape_of(frame))
        kind, call_id = frame[0], frame[1]
        if type(kind) is not int or type(call_id) is not int or not 0 <= call_id < _NUMBERS_END:
            raise Violation("a frame begins with two whole numbers, not %s" % _shape_of(frame))
        shape = self._shapes.get(kind)
        if shape is None:
            if abs(kind) >= _NUMBERS_END:
                raise Violation("a frame begins with two whole numbers of up to 64 bits")
            if kind not in self._seen_unknown and len(self._seen_unknown) < 64:
                self._seen_unknown.add(kind)
                events.append(self._unknown(kind))
            return
        if len(frame) < len(shape) + 2 or not all(map(isinstance, frame[2:], shape)):
            raise Violation("a frame of kind %d has the wrong fields: %s" % (kind, _shape_of(frame)))
        if kind == PIECE:
            self._read_piece(call_id, frame[2], frame[3], events)
            return
        event = self._handle(frame)
        if event is not None:
            events.append(event)

    def _read_piece(self, call_id: int, last: bool, part: bytes, events: List[Any]) -> None:
        if (not part and not last) or not self._expects(call_id):
            self.forget(call_id)  # the rest of that frame was dropped
            return
        parts = self._parts.setdefault(call_id, bytearray())
        if len(parts) + len(part) > self._max_frame:
            raise Violation("a frame in pieces grew beyond %d bytes" % self._max_frame)
        parts += part
        if last:
            del self._parts[call_id]
            frame = self._codec.decode(bytes(parts))
            if not isinstance(frame, list) or not frame or frame[0] == PIECE or frame[1:2] != [call_id]:
                raise Violation("pieces of call %d do not make a frame of it" % call_id)
            self._read_frame(frame, events)


class Violation(Exception):
    """A frame that cannot be, such as a chunk out of order."""


def _shape_of(frame: Any) -> str:
    """Types only: a frame may be huge, and its values may be secrets."""
    if not isinstance(frame, list):
        return type(frame).__name__
    return "[%s]" % ", ".join(type(field).__name__ for field in frame[:8])
