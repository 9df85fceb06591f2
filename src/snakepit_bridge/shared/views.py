"""The borrowing side: views of what lies in the other process's segments, and word of those that nobody looks at any more.

A view is a read-only memoryview over a ctypes array, which every slice and every array made of it keeps alive: when that dies, whichever
thread and garbage collection ends it, its number is put down, without a lock. The mapping stays, for the next.
"""

import collections
import contextlib
import functools
import mmap
import os
import sys
import weakref
from typing import Any, Callable, Deque, Dict, List, Tuple

from ..wire.malformed import Malformed

#: What the memory files of a host and its workers are called, as /proc shows it.
NAME = "snakepit"
_SHOWN = "/memfd:" + NAME
#: Before Python 3.13 a mapping keeps a descriptor of its own, for a change of size; of a pool with many workers those are many.
_NO_DESCRIPTOR: Dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}


class Views:
    """What has been lent to this process by one other.

    Args:
        wake: called when a view has died; from any thread, in the middle of anything.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._mapped: Dict[int, mmap.mmap] = {}
        self._alive: Dict[int, weakref.ref[Any]] = {}
        self._dead: Deque[int] = collections.deque()

    @property
    def mapped(self) -> int:
        """Of all segments that were looked into (bytes)."""
        return sum(map(len, self._mapped.values()))

    @property
    def alive(self) -> int:
        """How many are looked at."""
        return len(self._alive)

    def open(self, row: List[Any]) -> memoryview:
        """A view of a lease's bytes.

        Raises:
            Malformed: there is nothing of the kind, or it cannot be opened.
        """
        import ctypes  # here: a worker that is given small things alone does without, and starts sooner

        memory, place, nbytes, number = self._found(row)
        whole = (ctypes.c_char * nbytes).from_buffer(memory, place)
        self._alive[number] = weakref.ref(whole, functools.partial(self._died, number))
        return memoryview(whole).cast("B").toreadonly()

    def read(self, row: List[Any]) -> bytes:
        """A copy of a lease's bytes, which is returned at once. Raises what `open` raises."""
        memory, place, nbytes, number = self._found(row)
        data = memory[place : place + nbytes]
        self._dead.append(number)
        self._wake()
        return data

    def _found(self, row: List[Any]) -> Tuple[mmap.mmap, int, int, int]:
        """(mapped segment, place in it, bytes, number of the lease)."""
        if len(row) != 7 or not all(type(item) is int and item >= 0 for item in row):
            raise Malformed("where an attachment lies is told by seven numbers")
        pid, fd, segment, size, place, nbytes, number = row
        if place + nbytes > size or not nbytes or number in self._alive:
            raise Malformed("an attachment is said to lie where nothing is")
        memory = self._mapped.get(segment)
        if memory is None:
            self._unmap()
            memory = self._mapped[segment] = mapped(pid, fd, size)
        if len(memory) != size:
            raise Malformed("a segment has changed its size")
        return memory, place, nbytes, number

    def returned(self) -> List[int]:
        """The numbers of views that have died, each once."""
        found: List[int] = []
        while self._dead:
            found.append(self._dead.popleft())
        return found

    def close(self) -> None:
        """Nothing more will come. What is still looked at stays as it is."""
        self._wake = _nothing
        self._mapped.clear()

    def _unmap(self) -> None:
        """Let go of mappings that nobody looks into: segments may have been closed. Others are mapped again when they are needed."""
        for segment, memory in list(self._mapped.items()):
            with contextlib.suppress(BufferError):  # somebody does
                memory.close()
                del self._mapped[segment]

    def _died(self, number: int, _gone: object) -> None:
        self._alive.pop(number, None)
        self._dead.append(number)
        self._wake()


def _nothing() -> None: ...


def mapping(fd: int, size: int) -> mmap.mmap:
    """A memory file, mapped; the descriptor may be closed. Raises what `mmap` raises."""
    return mmap.mmap(fd, size, **_NO_DESCRIPTOR)


def mapped(pid: int, fd: int, size: int) -> mmap.mmap:
    """A memory file of another process, by its descriptor there; writable.

    Raises:
        Malformed: it is none of ours, or of another size.
    """
    path = "/proc/%d/fd/%d" % (pid, fd)
    try:
        if not os.readlink(path).startswith(_SHOWN):  # it names nothing else of ours either
            raise Malformed("what is said to be shared memory is something else")
        own = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if os.fstat(own).st_size != size:
                raise Malformed("a segment has another size than is said")
            return mapping(own, size)
        finally:
            os.close(own)
    except OSError as error:
        raise Malformed("shared memory of process %d cannot be opened: %s" % (pid, error)) from None
