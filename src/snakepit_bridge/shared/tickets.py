"""Who runs a call that was sent ahead to a worker: whoever takes its ticket, which lies in a pipe that host and worker both read.

The host puts a ticket there for each such call. The worker takes one before it runs the next; the host takes it when another worker is
idle, when nobody wants the call any more, or when the worker has died. The kernel gives each to one reader, so that a call runs
once, or not at all, whatever either side knows of the other at that moment: also while a tool holds the interpreter, and after a crash.

host:   SETUP {"tickets": [pid, descriptor, inode]}
worker: SHARED {"tickets": True, "together": it knows CALLS, "sessions": it runs those of a session one by one}, or {"tickets": False}:
        it cannot read them, and nothing is sent ahead
"""

import contextlib
import os
import struct
from typing import Any, List, Optional

_TICKET = struct.Struct("<Q")  # a call's number. All that is written and read are whole ones, which the kernel does not tear

#: Read at once: whole tickets, and so few that the kernel does not tear what is written at once.
_ALL_BYTES = 512 * _TICKET.size


class Tickets:
    """One end of the pipe.

    Args:
        reads: the descriptor to take them from. writes: that to put them into. Both are non-blocking, and closed by `close`.
    """

    def __init__(self, reads: int, writes: int) -> None:
        self._reads = reads
        self._writes = writes

    @classmethod
    def made(cls) -> "Optional[Tickets]":
        """The host's; None: there are no descriptors left, or no /proc by which the worker could find them."""
        if not os.path.exists("/proc/self/fd"):
            return None
        try:
            reads, writes = os.pipe()
        except OSError:
            return None
        os.set_blocking(reads, False)
        os.set_blocking(writes, False)
        return cls(reads, writes)

    @classmethod
    def found(cls, where: Any) -> "Optional[Tickets]":
        """The worker's, by what the host says of it; None: it is not to be found here, on another machine or in a container."""
        opened: List[int] = []
        try:
            pid, fd, inode = where
            for flags in (os.O_RDONLY, os.O_WRONLY):
                opened += [os.open("/proc/%d/fd/%d" % (pid, fd), flags | os.O_NONBLOCK | os.O_CLOEXEC)]
            if os.fstat(opened[0]).st_ino == inode:
                return cls(*opened)
        except (OSError, TypeError, ValueError):
            pass
        for fd in opened:
            os.close(fd)
        return None

    @property
    def where(self) -> List[int]:
        """For `found`."""
        return [os.getpid(), self._reads, os.fstat(self._reads).st_ino]

    def put(self, *numbers: int) -> bool:
        """Put tickets there, in this order; False: there is no room for them."""
        try:
            os.write(self._writes, b"".join(map(_TICKET.pack, numbers)))
        except OSError:
            return False
        return True

    def take(self) -> Optional[int]:
        """The oldest; None: there is none."""
        try:
            data = os.read(self._reads, _TICKET.size)
        except OSError:  # none is there now, or the pipe has been closed
            return None
        return int(_TICKET.unpack(data)[0]) if len(data) == _TICKET.size else None

    def take_all(self) -> List[int]:
        """Those that are there, oldest first."""
        found: List[int] = []
        while True:
            try:
                data = os.read(self._reads, _ALL_BYTES)
            except OSError:
                return found
            if not data:
                return found
            found += [number for (number,) in _TICKET.iter_unpack(data)]

    def close(self) -> None:
        """Close this end. Once is enough."""
        for fd in (self._reads, self._writes):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._reads = self._writes = -1
