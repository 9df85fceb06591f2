"""How a tool that computes lets the carrier's thread get a lone chunk out at once.

Both threads need the interpreter. Left to itself, a computing tool gives it up a switch interval after the carrier asks, and
the carrier has to ask two or three times until a chunk has left; on a busy machine each time costs more. So the tool lends it:
it waits (bounded) until the carrier has looked. The link asks this only of tools that do not flood: a flood leaves in
better batches the longer the carrier is kept waiting.
"""

import threading
from typing import Callable

#: How long a tool waits for the carrier at most (seconds); the carrier takes about a tenth of it.
LEND_SECONDS = 0.001


class Handover:
    """Between one thread that lends and one that takes."""

    def __init__(self) -> None:
        self._gate = threading.Lock()  # held, but for the moment between `taken` and the end of `lend`
        self._gate.acquire()
        self._lent = False

    def lend(self, wake: Callable[[], None]) -> None:
        """On the tool's thread: wake the carrier and wait until it has looked."""
        self._gate.acquire(blocking=False)  # left open when the carrier came too late the last time
        self._lent = True
        wake()
        self._gate.acquire(timeout=LEND_SECONDS)

    def taken(self) -> None:
        """On the carrier's thread: it has looked. Cheap when nobody waits."""
        if self._lent:
            self._lent = False
            if self._gate.locked():  # not so if it came too late twice; only this thread opens it
                self._gate.release()
