"""What leaves next: control frames first, then one bulk piece of each call in turn.

Owned by a multiplexer. A writer asks `next_message` for all that has piled up (up to about one piece) and never waits
for more: a lone frame leaves at once, a flood leaves in batches.
"""

import collections
from typing import Any, Deque, List, Optional, Tuple, Union

from .attachments import Departure, Encoded, Lease, Parcel, Store
from .codecs import Codec
from .frames import ATTACHED, CHUNK, PIECE, PIECE_BYTES, RETURNED
from .payload import MAX_PAYLOAD, too_large

#: In the place of a message: nothing leaves yet, as some of it is being copied. Ask again, but let others have their turn first.
AGAIN = b""
#: So much is copied into shared memory in one turn (bytes): it takes about as long as to write a piece.
COPY_BYTES = 2 * 1024 * 1024
#: Control frames fill a message up to about this much (bytes); what is left goes with the next.
MESSAGE_BYTES = 1024 * 1024


class _Cut:
    """An encoded frame that is too large for one piece, and how much of it has left.

    Attributes:
        announces: what it is the ATTACHED frame of.
    """

    __slots__ = ("announces", "frame", "sent")

    def __init__(self, frame: bytes, announces: Optional[Departure] = None) -> None:
        self.frame = memoryview(frame)
        self.sent = 0
        self.announces = announces


class Lane:
    """The bulk of one call, in order: first its chunks, then whole frames (a large call, a result).

    Attributes:
        chunks: encoded chunks; a tuple (chunk, extra), both encoded, ends a run: `extra` belongs to the last of a frame. So does a
            chunk with attachments, which has a frame of its own.
        next: the number of the first of them.
        queued: is it in the rotation? Whoever appends calls `Outbox.enqueue` if not.
    """

    __slots__ = ("call_id", "chunks", "dropped", "frames", "next", "queued")

    def __init__(self, call_id: int) -> None:
        self.call_id = call_id
        self.chunks: Deque[Union[Encoded, Tuple[Encoded, bytes]]] = collections.deque()
        self.frames: Deque[Union[bytes, _Cut, Departure]] = collections.deque()
        self.next = 0
        self.queued = False
        self.dropped = False


class Outbox:
    """Frames waiting to be written.

    Attributes:
        store: where attachments may lie that need not travel then; None: there is none. lends: those that leave may.
        max_payload: how large a call's arguments, a result or a chunk may be that leaves here (bytes).
    """

    def __init__(self, codec: Codec, piece_bytes: int = PIECE_BYTES) -> None:
        self.store: Optional[Store] = None
        self.lends = False
        self.max_payload = MAX_PAYLOAD
        self._codec = codec
        self.encode = codec.for_answers().encode
        self._piece = piece_bytes
        self._control: Deque[bytes] = collections.deque()
        self._last: List[bytes] = []
        self._turn: Deque[Lane] = collections.deque()  # lanes that hold something

    def __bool__(self) -> bool:
        return bool(self._control or self._turn or self._last)

    @property
    def is_leaving(self) -> bool:
        """Is something on its way out that what is small overtakes?"""
        return bool(self._turn)

    def own(self, data: Encoded) -> Encoded:
        """With bytes of its own; see `Parcel.own`."""
        return data.own(self._lender) if isinstance(data, Parcel) else data

    def check(self, what: str, frame: Encoded, codec: Codec, *values: Any) -> None:
        """Before a frame is put here that carries values, or is copied for that.

        Raises:
            TooLarge: they are larger than `max_payload`.
        """
        if len(frame) > self.max_payload:
            error = too_large(what, frame, self.max_payload, codec, *values)
            if error is not None:
                raise error

    @property
    def _lender(self) -> Optional[Store]:
        return self.store if self.lends else None

    def return_leases(self) -> None:
        """Say which attachments of the other side's nobody looks at any more."""
        numbers = self.store.returned() if self.store is not None else None
        if numbers:
            self.put_control(self._codec.encode((RETURNED, 0, numbers)))

    def put_control(self, frame: bytes) -> None:
        """A small frame that may overtake bulk."""
        self._control.append(frame)

    def put_last(self, frame: bytes) -> None:
        """A frame that overtakes nothing, such as a goodbye."""
        self._last.append(frame)

    def put(self, lane: Lane, frame: Encoded) -> None:
        """A frame of a call, after all others of that call. Small ones with nothing before them go as control."""
        if isinstance(frame, Parcel):
            lane.frames.append(Departure(lane.call_id, frame, self._lender))
            self.enqueue(lane)
        elif not lane.queued and len(frame) <= self._piece:
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
        partly = _has_begun(lane)
        lane.chunks.clear()
        lane.frames.clear()
        return partly

    def next_message(self) -> Optional[bytes]:
        """One message of what is waiting, or None, or `AGAIN`. Control frames first, then a piece of each call in turn.

        A part of an attachment is a message by itself.
        """
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
            found = self._next_of(lane)
            if isinstance(found, int):
                self._turn.append(lane)
                bulk += found
                continue
            if isinstance(found, Departure):
                if frames:
                    self._turn.appendleft(lane)
                    break
                part = found.next_part(self._piece)
                if found.done:
                    lane.frames.popleft()
                self._keep(lane)
                return part
            frames.append(found)
            bulk += len(found)
            self._keep(lane)
        if self._last and not self._control and not self._turn:
            frames += self._last
            self._last = []
        return self._codec.array(frames) if frames else AGAIN

    def _keep(self, lane: Lane) -> None:
        """It had its turn."""
        if lane.frames or lane.chunks:
            self._turn.append(lane)
        else:
            lane.queued = False

    def _next_of(self, lane: Lane) -> Union[bytes, Departure, int]:
        """A frame; or, where a part is due, what it is a part of; or how many bytes have been copied for it."""
        if lane.chunks and not _has_begun(lane):
            found = self._run_frame(lane)
            if isinstance(found, bytes) and len(found) <= self._piece:
                return found
            lane.frames.appendleft(_Cut(found) if isinstance(found, bytes) else Departure(lane.call_id, found, None))
        head = lane.frames[0]
        if isinstance(head, bytes):
            lane.frames.popleft()
            return head
        if isinstance(head, Departure):
            return head if head.announced else head.copy(COPY_BYTES) or self._announcement(lane, head)
        part = bytes(head.frame[head.sent : head.sent + self._piece])
        head.sent += len(part)
        last = head.sent >= len(head.frame)
        if last:
            lane.frames.popleft()
            if head.announces is not None:
                self._announced(lane, head.announces)
        return self._codec.encode((PIECE, lane.call_id, last, part))

    def _announcement(self, lane: Lane, head: Departure) -> bytes:
        """The frame before the parts; in pieces, where the frame that it holds is large itself."""
        inner = head.head
        frame = self._codec.encode((ATTACHED, lane.call_id, head.announce(), inner))
        if len(frame) <= self._piece:
            self._announced(lane, head)
            return frame
        lane.frames.appendleft(_Cut(frame, head))
        found = self._next_of(lane)
        assert isinstance(found, bytes)
        return found

    @staticmethod
    def _announced(lane: Lane, head: Departure) -> None:
        head.left()
        if head.done:
            lane.frames.popleft()

    def _run_frame(self, lane: Lane) -> Encoded:
        items: List[bytes] = []
        nbytes, extra, chunks = 0, b"", lane.chunks
        buffers: List[Union[memoryview, Lease]] = []
        limit = self._piece // 2
        while chunks and not extra:
            head = chunks[0]
            if type(head) is bytes:  # nearly every one of nearly every stream
                size = len(head)
                if items and nbytes + size > limit:
                    break
                chunks.popleft()
                items.append(head)
                nbytes += size
                continue
            item, beside = head if isinstance(head, tuple) else (head, b"")
            size = len(item) + len(beside)
            if items and (nbytes + size > limit or isinstance(item, Parcel)):
                break
            chunks.popleft()
            nbytes += size
            extra = beside
            if isinstance(item, Parcel):
                items.append(item.head)
                buffers = item.buffers
                break
            items.append(item)
        first, lane.next = lane.next, lane.next + len(items)
        codec = self._codec
        encode = codec.encode
        frame = codec.array((encode(CHUNK), encode(lane.call_id), encode(first), codec.array(items), encode(nbytes), extra or encode(None)))
        return Parcel(frame, buffers, owned=True) if buffers else frame


def _has_begun(lane: Lane) -> bool:
    """Has some of its first frame left, and not all?"""
    head = lane.frames[0] if lane.frames else None
    return (isinstance(head, _Cut) and head.sent > 0) or (isinstance(head, Departure) and head.announced)
