"""How far a host tool may yield ahead of what the channel takes: so many items, and so many bytes."""

from __future__ import annotations

import threading

#: Beside the window of the call, and as many bytes as that has (items).
AHEAD = 64


class Room:
    """Room for what was yielded and has not left. Any thread may use it.

    Args:
        nbytes: so much may wait (bytes). It is exceeded by the last item, as nobody knows the size of one before it is there.
    """

    def __init__(self, nbytes: int) -> None:
        self._limit = nbytes
        self._changed = threading.Condition()
        self._items = self._bytes = 0
        self._closed = False

    @property
    def is_there(self) -> bool:
        """May another item be yielded?"""
        return self._closed or (self._items < AHEAD and self._bytes < self._limit)

    def take(self, nbytes: int) -> None:
        """An item of that size waits to leave."""
        with self._changed:
            self._items += 1
            self._bytes += nbytes

    def give_back(self, nbytes: int) -> None:
        """It has left."""
        with self._changed:
            self._items -= 1
            self._bytes -= nbytes
            self._changed.notify_all()

    def wait(self, timeout: float) -> bool:
        """Wait at most so long (seconds) until it is there. False: it is not."""
        with self._changed:
            return self._changed.wait_for(lambda: self.is_there, timeout)

    def close(self) -> None:
        """From here on there is room for all: nobody reads it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
