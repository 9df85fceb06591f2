"""What leaves next: control frames first, then one bulk piece of each call in turn.

Owned by a multiplexer. A writer asks `next_message` for all that has piled up (up to about one piece) and never waits
for more: a lone frame leaves at once, a flood leaves in batches.
"""

import collections
from typing import Deque, List, Optional, Tuple, Union

from .codecs import Codec
from .frames import CHUNK, PIECE, PIECE_BYTES

#: Control frames fill a message up to about this much (bytes); what is left goes with the next.
MESSAGE_BYTES = 1024 * 1024


class _Cut:
    """An encoded frame that is too large for one piece, and how much of it has left."""

    __slots__ = ("frame", "sent")

    def __init__(self, frame: bytes) -> None:
        self.frame = memoryview(frame)
        self.sent = 0


class Lane:
    """The bulk of one call, in order: first its chunks, then whole frames (a large call, a result).

    Attributes:
        chunks: encoded chunks; a tuple (chunk, extra), both encoded, ends a run: `extra` belongs to the last of a frame.
        next: the number of the first of them.
        queued: is it in the rotation? Whoever appends calls `Outbox.enqueue` if not.
    """

    __slots__ = ("call_id", "chunks", "dropped", "frames", "next", "queued")

    def __init__(self, call_id: int) -> None:
        self.call_id = call_id
        self.chunks: Deque[Union[bytes, Tuple[bytes, bytes]]] = collections.deque()
        self.frames: Deque[Union[bytes, _Cut]] = collections.deque()
        self.next = 0
        self.queued = False
        self.dropped = False


class Outbox:
    """Frames waiting to be written."""

    def __init__(self, codec: Codec, piece_bytes: int = PIECE_BYTES) -> None:
        self._codec = codec
        self.encode = codec.encode
        self._piece = piece_bytes
        self._control: Deque[bytes] = collections.deque()
        self._last: List[bytes] = []
        self._turn: Deque[Lane] = collections.deque()  # lanes that hold something

    def __bool__(self) -> bool:
        return bool(self._control or self._turn or self._last)

    def put_control(self, frame: bytes) -> None:
        """A small frame that may overtake bulk."""
        self._control.append(frame)

    def put_last(self, frame: bytes) -> None:
        """A frame that overtakes nothing, such as a goodbye."""
        self._last.append(frame)

    def put(self, lane: Lane, frame: bytes) -> None:
        """A frame of a call, after all others of that call. Small ones with nothing before them go as control."""
        if not lane.queued and len(frame) <= self._piece:
            self._control.append(frame)
        else:
            lane.frames.append(frame if len(frame) <= self._piece else _Cut(frame))
            self.enqueue(lane)

    def enqueue(self, lane: Lane) -> None:
        """Something was appended to a lane: it takes its turn."""
        if not lane.queued and not lane.dropped:
            lane.queued = True
            self._turn.append(lane)

    def drop(self, lane: Lane) -> bool:
        """Forget a call's bulk that has not left, and take no more. True if a frame of it had left in part."""
        lane.dropped = True
        if lane.queued:
            self._turn.remove(lane)
            lane.queued = False
        head = lane.frames[0] if lane.frames else None
        lane.chunks.clear()
        lane.frames.clear()
        return isinstance(head, _Cut) and head.sent > 0

    def next_message(self) -> Optional[bytes]:
        """One message of what is waiting, or None. Control frames first, then a piece of each call in turn."""
        if not self:
            return None
        frames: List[bytes] = []
        size = 0
        while self._control and size < MESSAGE_BYTES:
            frames.append(self._control.popleft())
            size += len(frames[-1])
        bulk = 0  # counted by itself: a flood of control frames must not starve it
        while self._turn and bulk < self._piece:
            lane = self._turn.popleft()
            frames.append(self._next_of(lane))
            bulk += len(frames[-1])
            if lane.frames or lane.chunks:
                self._turn.append(lane)
            else:
                lane.queued = False
        if self._last and not self._control and not self._turn:
            frames += self._last
            self._last = []
        return self._codec.array(frames)

    def _next_of(self, lane: Lane) -> bytes:
        head = lane.frames[0] if lane.frames else None
        if lane.chunks and not (isinstance(head, _Cut) and head.sent):
            frame = self._run_frame(lane)
            if len(frame) <= self._piece:
                return frame
            head = _Cut(frame)
            lane.frames.appendleft(head)
        if isinstance(head, bytes):
            lane.frames.popleft()
            return head
        assert head is not None, "a lane in the rotation holds something"
        part = bytes(head.frame[head.sent : head.sent + self._piece])
        head.sent += len(part)
        last = head.sent >= len(head.frame)
        if last:
            lane.frames.popleft()
        return self._codec.encode((PIECE, lane.call_id, last, part))

    def _run_frame(self, lane: Lane) -> bytes:
        items: List[bytes] = []
        nbytes, extra, chunks = 0, b"", lane.chunks
        limit = self._piece // 2
        while chunks and not extra:
            head = chunks[0]
            item, beside = head if isinstance(head, tuple) else (head, b"")
            size = len(item) + len(beside) if beside else len(item)
            if items and nbytes + size > limit:
                break
            chunks.popleft()
            items.append(item)
            nbytes += size
            extra = beside
        first, lane.next = lane.next, lane.next + len(items)
        codec = self._codec
        encode = codec.encode
        return codec.array((encode(CHUNK), encode(lane.call_id), encode(first), codec.array(items), encode(nbytes), extra or encode(None)))
