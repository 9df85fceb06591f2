"""Both sides of shared memory at one end of a channel, and how the ends find out whether they see each other's.

host:   SETUP {"shared": {"row", "token", "limit"}}   a first lease, in which the token lies
worker: SHARED {"row", "token"}, or {"reason"}       it has read that, and shows one of its own
host:   SETUP {"lend": True}                         it has read that: both may lend
"""

import os
import sys
from typing import Any, Callable, Dict, List, Optional

from ..wire.malformed import Malformed
from .arena import Arena, Lease
from .views import NAME, Views

#: What is smaller goes with the rest (bytes): it is not worth the book-keeping.
LEAST_BYTES = 64 * 1024
_TOKEN_BYTES = 16


def unavailable() -> str:
    """Why there is no shared memory here; empty: there is."""
    if not sys.platform.startswith("linux") or not hasattr(os, "memfd_create"):
        return "shared memory needs Linux, with glibc 2.27 or newer"
    return ""


class Store:
    """Shared memory at one end; see `wire.attachments.Store`.

    Args:
        limit: how large the segments of this end may become together (bytes).
        wake: called when something is to be returned; from any thread, in the middle of anything.

    Attributes:
        reason: why it is not used; empty: it is, or that is not known yet.
        transfers: attachments that went through it, either way. fallbacks: those that went over the channel for want of room.
    """

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        self.limit = limit
        self.reason = ""
        self.transfers = self.fallbacks = 0
        self._arena = Arena(limit, NAME)
        self._views = Views(wake)

    def probe(self) -> "Optional[Dict[str, Any]]":
        """A lease with something in it that the other end can prove to have read; None: not even that can be had."""
        lease = self._arena.lease(_TOKEN_BYTES)
        token = os.urandom(_TOKEN_BYTES)
        if lease is None or not lease.write(0, memoryview(token)):
            self.reason = "no memory of %d bytes can be had" % _TOKEN_BYTES
            return None
        lease.sent()
        return {"row": lease.row, "token": token.hex(), "limit": self.limit}

    def reads(self, probe: "Dict[str, Any]") -> bool:
        """Can what the other end has shown be read here? If not, `reason` says why."""
        try:
            row = probe["row"]
            if not isinstance(row, list):
                raise Malformed("nothing is said of where it lies")
            if self._views.read(row).hex() != probe["token"]:
                raise Malformed("what is read is not what was written: another machine, or another container?")
        except (Malformed, KeyError, OSError, ValueError) as error:
            self.reason = str(error)
            return False
        return True

    def lease(self, nbytes: int) -> Optional[Lease]:
        """Room for so many bytes; None: there is none, or it is not worth it."""
        if nbytes < LEAST_BYTES:
            return None
        found = self._arena.lease(nbytes)
        if found is None:
            self.fallbacks += 1
        else:
            self.transfers += 1
        return found

    def open(self, row: List[Any]) -> memoryview:
        """See `Views.open`."""
        found = self._views.open(row)
        self.transfers += 1
        return found

    def passed_over(self, nbytes: int) -> None:
        """An attachment of that size comes over the channel."""
        self.fallbacks += nbytes >= LEAST_BYTES

    def returned(self) -> List[int]:
        """See `Views.returned`. Asked for whenever something may leave, if only a sign of life: what has long been free rests by it."""
        self._arena.rest()
        return self._views.returned()

    def take_back(self, numbers: List[Any]) -> bool:
        """See `Arena.take_back`."""
        return self._arena.take_back(numbers)

    @property
    def size(self) -> int:
        """Of the segments of this end (bytes)."""
        return self._arena.size

    @property
    def in_sight(self) -> int:
        """Of the segments of both ends, as far as they are known here (bytes)."""
        return self._arena.size + self._views.mapped

    @property
    def alive(self) -> int:
        """How many views are looked at here."""
        return self._views.alive

    def close(self) -> None:
        """Give all memory of this end back. Views that are looked at stay."""
        self._views.close()
        self._arena.close()
