"""What leaves next: control frames first, then one bulk piece of each call in turn.

Owned by a multiplexer. A writer asks `next_message` for all that has piled up (up to about one piece) and never waits
for more: a lone frame leaves at once, a flood leaves in batches.
"""

import collections
from typing import Any, Deque, Dict, List, Optional, Union

from .codecs import Codec
from .frames import CHUNK, PIECE, PIECE_BYTES

#: Control frames fill a message up to about this much (bytes); what is left goes with the next.
MESSAGE_BYTES = 1024 * 1024


class _Run:
    """Consecutive chunks of one stream that will leave in one frame."""

    __slots__ = ("extra", "first", "items", "nbytes")

    def __init__(self, first: int) -> None:
        self.first = first
        self.items = []  # type: List[bytes]
        self.nbytes = 0
        self.extra = None  # type: Optional[Dict[str, Any]]


class _Cut:
    """An encoded frame that is too large for one piece, and how much of it has left."""

    __slots__ = ("frame", "sent")

    def __init__(self, frame: bytes) -> None:
        self.frame = memoryview(frame)
        self.sent = 0


class _Lane:
    """The bulk frames of one call, in order. `closed`: its last frame is in; the lane goes when it is empty."""

    __slots__ = ("queue",)

    def __init__(self) -> None:
        self.queue = collections.deque()  # type: Deque[Union[bytes, _Run, _Cut]]


class Outbox:
    """Frames waiting to be written."""

    def __init__(self, codec: Codec, piece_bytes: int = PIECE_BYTES) -> None:
        self._codec = codec
        self._piece = piece_bytes
        self._control = collections.deque()  # type: Deque[bytes]
        self._lanes = {}  # type: Dict[int, _Lane]
        self._turn = collections.deque()  # type: Deque[int]

    def __bool__(self) -> bool:
        return bool(self._control or self._turn)

    def put_control(self, frame: bytes) -> None:
        """A small frame that may overtake bulk."""
        self._control.append(frame)

    def put(self, call_id: int, frame: bytes) -> None:
        """A frame of a call, after all others of that call. Small ones with nothing before them go as control."""
        if call_id not in self._lanes and len(frame) <= self._piece:
            self._control.append(frame)
        else:
            self._lane(call_id).queue.append(frame if len(frame) <= self._piece else _Cut(frame))

    def put_chunk(self, call_id: int, sequence: int, item: bytes, extra: Optional[Dict[str, Any]]) -> None:
        """One encoded chunk; joined to the run before it while that is small and open."""
        queue = self._lane(call_id).queue
        run = queue[-1] if queue else None
        if not isinstance(run, _Run) or run.extra is not None or run.nbytes + len(item) > self._piece // 2:
            run = _Run(sequence)
            queue.append(run)
        run.items.append(item)
        run.nbytes += len(item)
        run.extra = extra

    def drop(self, call_id: int) -> bool:
        """Forget a call's bulk frames that have not left. True if one of them had left in part."""
        lane = self._lanes.pop(call_id, None)
        if lane is None:
            return False
        self._turn.remove(call_id)
        head = lane.queue[0] if lane.queue else None
        return isinstance(head, _Cut) and head.sent > 0

    def has(self, call_id: int) -> bool:
        """Does this call have bulk frames that have not left?"""
        return call_id in self._lanes

    def next_message(self) -> Optional[bytes]:
        """One message of what is waiting, or None. Control frames first, then a piece of each call in turn."""
        if not self:
            return None
        frames = []  # type: List[bytes]
        size = 0
        while self._control and size < MESSAGE_BYTES:
            frames.append(self._control.popleft())
            size += len(frames[-1])
        while self._turn and size < self._piece:
            call_id = self._turn.popleft()
            lane = self._lanes[call_id]
            frame = self._next_of(call_id, lane)
            frames.append(frame)
            size += len(frame)
            if lane.queue:
                self._turn.append(call_id)
            else:
                del self._lanes[call_id]
        return self._codec.array(frames)

    def _next_of(self, call_id: int, lane: _Lane) -> bytes:
        entry = lane.queue.popleft()
        if isinstance(entry, _Run):
            frame = self._run_frame(call_id, entry)
            if len(frame) <= self._piece:
                return frame
            entry = _Cut(frame)
        if isinstance(entry, bytes):
            return entry
        part = bytes(entry.frame[entry.sent : entry.sent + self._piece])
        entry.sent += len(part)
        last = entry.sent >= len(entry.frame)
        if not last:
            lane.queue.appendleft(entry)
        return self._codec.encode((PIECE, call_id, last, part))

    def _run_frame(self, call_id: int, run: _Run) -> bytes:
        encode = self._codec.encode
        return self._codec.array(
            (encode(CHUNK), encode(call_id), encode(run.first), self._codec.array(run.items), encode(run.nbytes), encode(run.extra))
        )

    def _lane(self, call_id: int) -> _Lane:
        lane = self._lanes.get(call_id)
        if lane is None:
            lane = self._lanes[call_id] = _Lane()
            self._turn.append(call_id)
        return lane
