"""The open calls that the host tools of one tool's call have made, of whichever pool: they end with it.

From any thread: host tools run on several, and pools on several loops.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snakepit._pool.call import Call

    from .context import HostCallContext


class Offspring:
    """What one call of a tool has brought about."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Call, tuple[HostCallContext, Callable[[], None]]] = {}
        self._over = False

    def add(self, call: Call, made_by: HostCallContext, cancel: Callable[[], None]) -> bool:
        """A host tool makes a call. False if nobody waits for that host tool any more, nor then for the call.

        Args:
            cancel: ends the call; callable from any thread, and harmless once it has ended.
        """
        with self._lock:
            if self._over or made_by.cancelled:
                return False
            self._open[call] = made_by, cancel
        return True

    def remove(self, call: Call) -> None:
        """A call has ended."""
        with self._lock:
            self._open.pop(call, None)

    def cancel(self, made_by: HostCallContext) -> None:
        """Nobody waits for a host tool any more (it knows already): nor for its calls."""
        with self._lock:
            cancels = [cancel for context, cancel in self._open.values() if context is made_by]
        for cancel in cancels:
            cancel()

    def end(self) -> None:
        """The tool's call has ended: so do all of these, also those that their host tools did not wait for."""
        with self._lock:
            self._over = True
            cancels = [cancel for _, cancel in self._open.values()]
        for cancel in cancels:
            cancel()
