"""From messages to well-formed frames: decoding, putting pieces together, checking shapes. Never raises.

Both multiplexers read through this. A fault is final: what comes after it is ignored.
"""

from typing import Any, Callable, Dict, List, Optional, Tuple

from .attachments import PART_HEAD, PART_MARK, Arrival, Store, is_table, part_of
from .codecs import Codec
from .frames import ATTACHED, PIECE, RETURNED, Fault
from .payload import BESIDE_BYTES, MAX_PAYLOAD

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

    Attributes:
        max_frame: the largest frame of a call that may come, with its attachments (bytes).
        store: where attachments lie that need not travel; None: there is none yet.
    """

    def __init__(
        self,
        codec: Codec,
        shapes: Shapes,
        handle: Callable[[List[Any]], Any],
        unknown: Callable[[Any], Any],
        expects: Callable[[int], bool] = lambda _call_id: True,
        max_frame: int = MAX_PAYLOAD + BESIDE_BYTES,
    ) -> None:
        self._codec = codec
        self._shapes = dict(shapes)
        self._shapes[PIECE] = (bool, bytes)
        self._shapes[ATTACHED] = (list, bytes)
        self._shapes[RETURNED] = (list,)
        self._handle = handle
        self._unknown = unknown
        self._expects = expects
        self.max_frame = max_frame
        self._parts: Dict[int, bytearray] = {}
        self._arrivals: Dict[int, Arrival] = {}
        self._seen_unknown: set[Any] = set()
        self.store: Optional[Store] = None
        self.broken = False

    def read(self, message: bytes) -> List[Any]:
        """The events one message means; the last is a `Fault` if it is not the protocol."""
        if self.broken:
            return []
        events: List[Any] = []
        try:
            if message[:1] == PART_MARK:
                self._read_part(message, events)
                return events
            frames = self._codec.decode(message)
            if not isinstance(frames, list):
                raise Violation("a message is an array of frames, not %s" % type(frames).__name__)
            if len(message) > self.max_frame:
                self._check_sizes(frames)
            for frame in frames:
                self._read_frame(frame, events)
        except Exception as error:  # Malformed and Violation say it in words; a RecursionError comes from what is nested too deeply.
            self.broken = True
            self._parts.clear()
            self._arrivals.clear()
            events.append(Fault(str(error) or type(error).__name__))
        return events

    def forget(self, call_id: int) -> None:
        """A call is over; pieces of it that came so far are dropped."""
        self._parts.pop(call_id, None)
        self._arrivals.pop(call_id, None)

    @property
    def held(self) -> int:
        """Of how many calls parts of a frame have come, and not all."""
        return len(self._parts) + len(self._arrivals)

    def holds(self, call_id: int) -> bool:
        """Have parts of a frame of this call come?"""
        return call_id in self._parts or call_id in self._arrivals

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
        if kind == ATTACHED:
            self._announced(call_id, frame[2], frame[3], events)
            return
        if kind == RETURNED:
            if self.store is None or not self.store.take_back(frame[2]):
                raise Violation("shared memory was returned that had not been lent")
            return
        event = self._handle(frame)
        if event is not None:
            events.append(event)

    def _check_sizes(self, frames: List[Any]) -> None:
        """Frames of a message of which one may be too large, though ours would have sent it in pieces."""
        for frame in frames:
            size = len(self._codec.encode(frame)) if isinstance(frame, list) and frame[1:2] != [0] else 0
            if size > self.max_frame:
                raise Violation("a frame of %d bytes came; max_payload allows %d" % (size, self.max_frame))

    def _announced(self, call_id: int, table: List[Any], inner: bytes, events: List[Any]) -> None:
        if not is_table(table):
            raise Violation("attachments are announced by their sizes, or by where they lie")
        found = [item if isinstance(item, int) else self._opened(item) for item in table]
        size = len(inner) + sum(item if isinstance(item, int) else len(item) for item in found)
        if size > self.max_frame:
            told = (size, self.max_frame)
            raise Violation("a frame of %d bytes with its attachments was announced; max_payload allows %d" % told)
        if not self._expects(call_id):
            return  # what lies in shared memory goes back by this
        if call_id in self._arrivals:
            raise Violation("attachments of call %d were announced before those before them had come" % call_id)
        if self.store is not None:
            for item in table:
                if isinstance(item, int):
                    self.store.passed_over(item)
        self._arrivals[call_id] = Arrival(inner, found)
        self._settle(call_id, events)

    def _opened(self, row: List[Any]) -> memoryview:
        if self.store is None:
            raise Violation("an attachment is said to lie in shared memory, which has not been agreed on")
        return self.store.open(row)

    def _read_part(self, message: bytes, events: List[Any]) -> None:
        call_id = part_of(message)
        if call_id is None:
            raise Violation("a part of an attachment without the id of its call")
        arrival = self._arrivals.get(call_id)
        if arrival is None:
            return  # of a call that is over
        if not arrival.take(memoryview(message)[PART_HEAD:]):
            raise Violation("more came of the attachments of call %d than was announced" % call_id)
        self._settle(call_id, events)

    def _settle(self, call_id: int, events: List[Any]) -> None:
        """Once all attachments of a frame have come, read it."""
        arrival = self._arrivals[call_id]
        if not arrival.complete:
            return
        del self._arrivals[call_id]
        frame = self._codec.unpack(arrival.inner, arrival.views())
        if not isinstance(frame, list) or frame[:1] in ([PIECE], [ATTACHED]) or frame[1:2] != [call_id]:
            raise Violation("what came with attachments of call %d is no frame of it" % call_id)
        self._read_frame(frame, events)

    def _read_piece(self, call_id: int, last: bool, part: bytes, events: List[Any]) -> None:
        if (not part and not last) or not self._expects(call_id):
            self.forget(call_id)  # the rest of that frame was dropped
            return
        parts = self._parts.setdefault(call_id, bytearray())
        if len(parts) + len(part) > self.max_frame:
            raise Violation("a frame in pieces grew beyond %d bytes, which max_payload allows" % self.max_frame)
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
