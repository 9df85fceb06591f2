"""Large buffers travel beside the frame that they belong to: how they leave, and how they are put together again. No I/O.

A frame with attachments is announced by an ATTACHED frame, which holds it, encoded, and a table: for each attachment how large it
is (bytes), or where it lies in memory that both sides see (a row, see `Store`). The bytes of the former follow as *parts*, messages
by themselves that no codec looks into: a byte that none of them begins with, the call's id in eight bytes (big-endian), then the
bytes. Parts of one call come in order; frames and parts of other calls may come between them.
"""

import contextlib
import mmap
import struct
from typing import Any, List, Optional, Protocol, Sequence, Union

#: What a part begins with: no MessagePack value does, and no JSON text.
PART_MARK = b"\xc1"
_HEAD = struct.Struct(">cQ")
#: How long it is before the bytes begin.
PART_HEAD = _HEAD.size
#: From this size on (bytes) an attachment that comes in parts lies in pages of its own, which are given back with it.
_OWN_PAGES = 1024 * 1024


class Lease(Protocol):
    """Room for one attachment in shared memory. One that is dropped before it was sent gives its room back by itself.

    Attributes:
        row: where it lies, for the receiver.
    """

    row: List[Any]

    def __len__(self) -> int: ...

    def write(self, at: int, data: memoryview) -> bool:
        """Copy some of the bytes to their place; False: the memory cannot be had, and they must go another way."""

    def sent(self) -> None:
        """From here on it is the receiver's, until that returns it."""


class Store(Protocol):
    """Memory that both sides see: what is lent to the other one, and what that has lent to us."""

    def lease(self, nbytes: int) -> Optional[Lease]:
        """Room for so many bytes; None: there is none, or it is not worth it."""

    def open(self, row: List[Any]) -> memoryview:
        """A read-only view of what the other side has lent. When its last slice dies, `returned` names it.

        Raises:
            Malformed: there is no such memory.
        """

    def passed_over(self, nbytes: int) -> None:
        """An attachment of that size comes over the channel."""

    def returned(self) -> List[int]:
        """The numbers of leases of the other side's that nobody looks at any more, each once."""

    def take_back(self, numbers: List[Any]) -> bool:
        """Leases of ours have been returned; False: some of them were not out."""


class Parcel:
    """An encoded value, or frame, and its attachments: flat views of bytes, or leases. Its length is that of both (bytes).

    Attributes:
        owned: its bytes are its own; else they are those of the value that was given.
    """

    __slots__ = ("buffers", "head", "owned", "size")

    def __init__(self, head: bytes, buffers: "Sequence[Union[memoryview, Lease]]", *, owned: bool = False) -> None:
        self.head = head
        self.buffers = list(buffers)
        self.owned = owned
        self.size = len(head) + sum(map(len, self.buffers))

    def __len__(self) -> int:
        return self.size

    def own(self, store: Optional[Store]) -> "Parcel":
        """With bytes of its own, in shared memory or here: whoever gave the value may go on using it."""
        return Parcel(self.head, [_owned(item, store) for item in self.buffers], owned=True)


def _owned(item: "Union[memoryview, Lease]", store: Optional[Store]) -> "Union[memoryview, Lease]":
    if not isinstance(item, memoryview):
        return item
    lease = store.lease(len(item)) if store is not None else None
    if lease is not None and lease.write(0, item):
        return lease
    return memoryview(bytes(item))


#: What an encoder gives where attachments are wanted.
Encoded = Union[bytes, Parcel]


def parcel(head: bytes, buffers: Sequence[memoryview]) -> Encoded:
    """A parcel, if there is anything beside the head."""
    return Parcel(head, buffers) if buffers else head


class Departure:
    """A parcel that leaves: first what can is copied into shared memory, then it is announced, then the rest leaves part by part.

    Attributes:
        announced: its ATTACHED frame has left.
    """

    __slots__ = ("_at", "_buffers", "_call_id", "_copied", "_lease", "_store", "announced", "head")

    def __init__(self, call_id: int, load: Parcel, store: Optional[Store]) -> None:
        self._call_id = call_id
        self._buffers = load.buffers
        self._store = None if load.owned else store
        self._copied = 0  # how many buffers need no copy any more
        self._lease: Optional[Lease] = None  # of the one that is being copied
        self._at = 0
        self.announced = False
        self.head = load.head

    @property
    def done(self) -> bool:
        """Has all of it left?"""
        return self.announced and not self._buffers

    def copy(self, most: int) -> int:
        """Copy at most so many bytes into shared memory; how many that were. 0: it can be announced."""
        while self._copied < len(self._buffers):
            buffer = self._buffers[self._copied]
            if isinstance(buffer, memoryview) and self._store is not None:
                if self._lease is None:
                    self._lease = self._store.lease(len(buffer))
                part = buffer[self._at : self._at + most]
                if self._lease is not None and self._lease.write(self._at, part):
                    self._at += len(part)
                    if self._at < len(buffer):
                        return len(part)
                    self._buffers[self._copied] = self._lease
                else:
                    part = buffer[:0]
                self._lease, self._at = None, 0
                self._copied += 1
                if part:
                    return len(part)
            else:
                self._copied += 1
        return 0

    def announce(self) -> List[Any]:
        """The table for the frame that announces it. Once that has left as a whole: `left`."""
        self.announced, self.head = True, b""
        return [len(item) if isinstance(item, memoryview) else item.row for item in self._buffers]

    def left(self) -> None:
        """It has been announced: what is shared is the receiver's, the rest follows."""
        rest = [item for item in self._buffers if isinstance(item, memoryview) and len(item)]
        for item in self._buffers:
            if not isinstance(item, memoryview):
                item.sent()
        rest.reverse()
        self._buffers = list(rest)

    def next_part(self, most: int) -> bytes:
        """The message with the next bytes, at most `most` of them."""
        buffer = self._buffers[-1]
        assert isinstance(buffer, memoryview), "what is shared has no parts"
        part = buffer[self._at : self._at + most]
        self._at += len(part)
        if self._at >= len(buffer):
            self._buffers.pop()
            self._at = 0
        return b"".join((_HEAD.pack(PART_MARK, self._call_id), part))


class Arrival:
    """A frame of which attachments are still on their way. What was announced of one takes up memory only as it comes.

    Args:
        inner: the frame, encoded.
        table: of its attachments: how large those are that come in parts, and views of the others.
    """

    __slots__ = ("_at", "_buffers", "_table", "inner")

    def __init__(self, inner: bytes, table: "Sequence[Union[int, memoryview]]") -> None:
        self.inner = inner
        self._table = table
        self._buffers: List[Union[bytearray, mmap.mmap, memoryview]] = []
        self._at = 0  # so much of the last of these has come
        self._skip()

    @property
    def complete(self) -> bool:
        """Has all of it come?"""
        return len(self._buffers) > len(self._table)

    def take(self, part: memoryview) -> bool:
        """The next bytes; False: they are more than were announced."""
        buffer, end = self._buffers[-1], self._at + len(part)
        if end > len(buffer) or isinstance(buffer, memoryview):
            return False
        buffer[self._at : end] = part
        self._at = end
        if end == len(buffer):
            self._skip()
        return True

    def views(self) -> List[memoryview]:
        """The attachments, read-only."""
        return [memoryview(item).toreadonly() for item in self._buffers[:-1]]

    def _skip(self) -> None:
        """Go on to the next that lacks bytes; after the last, to one that takes none."""
        while not self.complete:
            at = len(self._buffers)
            item = self._table[at] if at < len(self._table) else 0
            self._buffers.append(item if isinstance(item, memoryview) else _room(item))
            self._at = 0
            if not isinstance(item, memoryview) and item:
                return


def _room(nbytes: int) -> "Union[bytearray, mmap.mmap]":
    """Zeroes, which take up memory as they are overwritten.

    Large ones lie by themselves: between the pieces that a carrier reads, the allocator's heaps get holes that none fits, and grow.
    """
    if nbytes >= _OWN_PAGES:
        try:
            found = mmap.mmap(-1, nbytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except (OSError, ValueError, OverflowError):
            return bytearray(nbytes)
        if hasattr(mmap, "MADV_HUGEPAGE"):  # a page at a time would take longer than to copy what comes
            with contextlib.suppress(OSError):  # a kernel without them
                found.madvise(mmap.MADV_HUGEPAGE)
        return found
    return bytearray(nbytes)


def part_of(message: bytes) -> Optional[int]:
    """The id of the call, if a message is a part; None: it is an array of frames."""
    if message[:1] != PART_MARK or len(message) < PART_HEAD:
        return None
    return int(_HEAD.unpack_from(message)[1])


def is_table(table: Sequence[Any]) -> bool:
    """Is it one of an ATTACHED frame?"""
    return bool(table) and all(isinstance(item, list) or (type(item) is int and item >= 0) for item in table)
