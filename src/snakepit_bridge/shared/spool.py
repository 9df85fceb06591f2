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

from .views import mapped

#: More than may be on their way: twice what waits at one worker.
SLOTS = 64
#: What is larger is not written down (bytes, its head among them).
SLOT_BYTES = 16 * 1024
_SIZE = SLOTS * SLOT_BYTES
_NUMBER = struct.Struct("<Q")
_LENGTH = struct.Struct("<I")
_HEAD = 16
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
            return cls(mmap.mmap(fd, _SIZE), fd)
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

    def put(self, call_id: int, frame: bytes) -> bool:
        """Write down how a call ended; False: that is too large."""
        size = len(frame)
        if size > SLOT_BYTES - _HEAD:
            return False
        memory, at = self._memory, self._count % SLOTS * SLOT_BYTES
        self._count += 1
        memory[at : at + 8] = _NOBODY  # until all of it is there
        _LENGTH.pack_into(memory, at + 8, size)
        memory[at + _HEAD : at + _HEAD + size] = frame
        _NUMBER.pack_into(memory, at, call_id)
        return True

    def written(self) -> Dict[int, bytes]:
        """What was written down last of each call; older ones have been written over."""
        found = {}
        for at in range(0, _SIZE, SLOT_BYTES):
            (number,), (size,) = _NUMBER.unpack_from(self._memory, at), _LENGTH.unpack_from(self._memory, at + 8)
            if number and size <= SLOT_BYTES - _HEAD:
                found[number] = self._memory[at + _HEAD : at + _HEAD + size]
        return found

    def close(self) -> None:
        """Give it back. Once is enough."""
        with contextlib.suppress(OSError, BufferError):
            self._memory.close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
