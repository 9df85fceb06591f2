"""The lending side: segments that grow with need up to a bound, leases in them, and what has become of those.

Leases are taken on whichever thread has something to send and come back on the one that reads the channel. One that is dropped
unsent gives its room back when it is destroyed, which may be in the middle of anything: that takes no lock.
"""

import collections
import contextlib
import mmap
import os
import threading
import time
from typing import Any, Deque, Dict, List, Optional

from .space import Space, rounded
from .views import mapping

#: No segment is smaller (bytes).
SEGMENT_BYTES = 16 * 1024 * 1024
_UNIT = 2 * 1024 * 1024
#: A segment that nobody has used for so long gives its memory back (seconds).
_IDLE_SECONDS = 30.0
#: So much of it at a time (bytes): it takes some milliseconds, for which nothing else is done.
_REST_BYTES = 16 * 1024 * 1024
#: Copied with the interpreter to itself (bytes): other threads wait no longer than for this.
_STEP = 8 * 1024 * 1024


class _Segment:
    """One memory file, mapped here."""

    def __init__(self, number: int, name: str, size: int) -> None:
        self.number = number
        self.space = Space(size)
        self.fd = os.memfd_create(name, os.MFD_CLOEXEC)
        try:
            os.ftruncate(self.fd, size)
            self.memory = mapping(self.fd, size)
        except BaseException:
            os.close(self.fd)
            raise
        self.view = memoryview(self.memory)
        self.used = time.monotonic()
        self._there = 0  # up to here it has memory

    def write(self, place: int, part: memoryview) -> bool:
        """Copy bytes there; False: there is no memory for them, or it has been closed.

        Memory is had before it is written to: to write to what cannot be had would end the process.
        """
        end = place + len(part)
        try:
            if end > self._there:
                os.posix_fallocate(self.fd, self._there, end - self._there)
                self._there = end
            self.view[place:end] = part
        except (OSError, ValueError):
            return False
        return True

    def rest(self, now: float) -> None:
        """Give some of the memory back, if it has long been free."""
        if self._there and self.space.is_empty and now - self.used > _IDLE_SECONDS:
            self.give_back(_REST_BYTES)

    def give_back(self, most: int) -> None:
        """Give so much memory back, from the end on, also of what the receiver has mapped.

        It becomes a hole: in a shorter file, a child that the receiver has forked would die of its look at what was there.
        """
        end = self._there
        self._there = max(0, end - most) // _UNIT * _UNIT
        with contextlib.suppress(OSError):
            for start in range(self._there, end, _STEP):
                self.memory.madvise(mmap.MADV_REMOVE, start, min(_STEP, end - start))

    def close(self) -> None:
        self.view.release()
        self.memory.close()
        os.close(self.fd)


class Lease:
    """Room for one attachment; see `wire.attachments.Lease`."""

    __slots__ = ("_arena", "_place", "_segment", "_sent", "_size", "number", "row")

    def __init__(self, arena: "Arena", number: int, segment: _Segment, place: int, nbytes: int) -> None:
        self._sent = False
        self._arena = arena
        self.number = number
        self._segment = segment
        self._place = place
        self._size = nbytes
        self.row: List[Any] = [os.getpid(), segment.fd, segment.number, segment.space.size, place, nbytes, number]

    def __len__(self) -> int:
        return self._size

    def write(self, at: int, data: memoryview) -> bool:
        """Copy some of the bytes to their place; False: there is no memory for them, or the arena has been closed."""
        start, write = self._place + at, self._segment.write
        return all(write(start + step, data[step : step + _STEP]) for step in range(0, len(data), _STEP))

    def sent(self) -> None:
        """It is the receiver's now."""
        self._sent = True

    def __del__(self) -> None:
        if not self._sent:
            self._arena.dropped.append(self.number)


class Arena:
    """Segments of one process, for one receiver.

    Args:
        limit: how large they may become together (bytes).
        name: what lists of open files show of them.

    Attributes:
        dropped: leases that were never sent and are no more.
    """

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._segments: List[_Segment] = []
        self._out: Dict[int, tuple[_Segment, int]] = {}
        self._lock = threading.Lock()
        self._count = self._made = 0
        self._looked = 0.0
        self.dropped: Deque[int] = collections.deque()

    @property
    def size(self) -> int:
        """Of all segments (bytes)."""
        return sum(segment.space.size for segment in self._segments)

    def lease(self, nbytes: int) -> Optional[Lease]:
        """Room for so many bytes; None: there is none."""
        with self._lock:
            self._collect()
            found = self._place(nbytes)
            if found is None:
                return None
            segment, place = found
            self._count += 1
            self._out[self._count] = found
            return Lease(self, self._count, segment, place, nbytes)

    def take_back(self, numbers: List[Any]) -> bool:
        """Leases have been returned; False: some of them are not out."""
        with self._lock:
            self._collect()
            return all(type(number) is int and self._free(number) for number in numbers)

    def rest(self) -> None:
        """Give memory back that has long been free, part by part: for whoever comes by now and then."""
        now = time.monotonic()
        if self._segments and now - self._looked > _IDLE_SECONDS / 30:
            self._looked = now
            with self._lock:
                self._collect()
                for segment in self._segments:
                    segment.rest(now)

    def close(self) -> None:
        """Give all memory back; what the receiver has mapped stays there as long as it looks at it."""
        with self._lock:
            segments, self._segments, self._out = self._segments, [], {}
            self._limit = 0
        for segment in segments:
            segment.close()

    def _place(self, nbytes: int) -> "Optional[tuple[_Segment, int]]":
        for segment in self._segments:
            place = segment.space.take(nbytes)
            if place is not None:
                return segment, place
        room, need = self._limit - self.size, rounded(nbytes, _UNIT)
        if need > room and not self._make_room(need - room):
            return None
        size = max(need, min(SEGMENT_BYTES, room))
        try:
            made = _Segment(self._made, self._name, size)
        except (OSError, ValueError, OverflowError):  # no memory, no descriptors
            return None
        self._made += 1
        self._segments.append(made)
        place = made.space.take(nbytes)
        assert place is not None, "it was made for that"
        return made, place

    def _make_room(self, nbytes: int) -> bool:
        """Close segments of which nothing is taken, largest first: many small ones must not be in a large one's way for ever."""
        empty = sorted((segment for segment in self._segments if segment.space.is_empty), key=lambda item: item.space.size)
        if sum(segment.space.size for segment in empty) < nbytes:
            return False
        while nbytes > 0:
            segment = empty.pop()
            self._segments.remove(segment)
            nbytes -= segment.space.size
            segment.give_back(segment.space.size)  # the receiver may have it mapped still
            segment.close()
        return True

    def _free(self, number: int) -> bool:
        segment, place = self._out.pop(number, (None, 0))
        if segment is None:
            return False
        segment.space.give_back(place)
        segment.used = time.monotonic()
        return True

    def _collect(self) -> None:
        while self.dropped:
            self._free(self.dropped.popleft())
