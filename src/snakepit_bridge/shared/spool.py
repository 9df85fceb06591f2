"""Results that are on their way, for the case that they never arrive: the worker writes each down before it begins another call.

A carrier that writes in a thread of its own, as gRPC's does, may not have come to it when the next call ends the process; and what a
dead process has written is not always read. The host looks here when a worker has died, so that only the call that ran is lost. Memory
that both map, like that of `arena`: to write costs a copy and no system call.
"""

import contextlib
import mmap
import os
import struct
from typing import Any, Dict, List, Optional

from .views import mapped, mapping

#: More than may be on their way: twice what waits at one worker.
SLOTS = 64
#: What is larger is not written down (bytes).
SLOT_BYTES = 16 * 1024
#: First come all heads, a call's number and the length of what is written of it: to look at all touches one page of memory.
_HEAD = 16
_HEADS = 4096
_SIZE = _HEADS + SLOTS * SLOT_BYTES
_NUMBER = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")
_NOBODY = bytes(_NUMBER.size)


class Spool:
    """One end of it. The worker writes, the host reads when the worker is dead."""

    def __init__(self, memory: mmap.mmap, fd: int = -1) -> None:
        self._memory = memory
        self._fd = fd
        self._count = 0

    @classmethod
    def made(cls, name: str) -> "Optional[Spool]":
        """The host's; None: there is no memory, or no descriptor left. `name`: what lists of open files show of it."""
        fd = -1
        try:
            fd = os.memfd_create(name, os.MFD_CLOEXEC)
            os.ftruncate(fd, _SIZE)
            return cls(mapping(fd, _SIZE), fd)
        except (OSError, AttributeError, ValueError):
            if fd >= 0:
                os.close(fd)
            return None

    @classmethod
    def found(cls, where: Any) -> "Optional[Spool]":
        """The worker's, by what the host says of it; None: it is not to be found here."""
        try:
            pid, fd = where
            return cls(mapped(pid, fd, _SIZE))
        except (TypeError, ValueError):  # Malformed among them
            return None

    @property
    def where(self) -> List[int]:
        """For `found`."""
        return [os.getpid(), self._fd]

    def agreed(self) -> None:
        """The worker has found it, or never will: the descriptor has done its work."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def put(self, call_id: int, frame: bytes) -> bool:
        """Write down how a call ended; False: that is too large."""
        size = len(frame)
        if size > SLOT_BYTES:
            return False
        memory, slot = self._memory, self._count % SLOTS
        head, at = slot * _HEAD, _HEADS + slot * SLOT_BYTES
        self._count += 1
        memory[head : head + 8] = _NOBODY  # until all of it is there
        _LENGTH.pack_into(memory, head + 8, size)
        memory[at : at + size] = frame
        _NUMBER.pack_into(memory, head, call_id)
        return True

    def written(self) -> Dict[int, bytes]:
        """What was written down last of each call; older ones have been written over."""
        found = {}
        for slot in range(SLOTS):
            head, at = slot * _HEAD, _HEADS + slot * SLOT_BYTES
            (number,), (size,) = _NUMBER.unpack_from(self._memory, head), _LENGTH.unpack_from(self._memory, head + 8)
            if number and size <= SLOT_BYTES:
                found[number] = self._memory[at : at + size]
        return found

    def close(self) -> None:
        """Give it back. Once is enough."""
        with contextlib.suppress(OSError, BufferError):
            self._memory.close()
        self.agreed()
