"""Lets the other threads of a worker have the interpreter while its main loop is never idle.

A loop that always has something to do looks at its descriptors between two turns, and gives the interpreter up for that
moment: for a microsecond, in which a thread that wants it does not even wake up. But it counts as an offer, and whoever
waits begins to wait its switch interval anew. Where a turn takes less than that, such as of fifty tools that stream, the
carrier's thread got nowhere: seen were two seconds until it had told fifty calls that they were cancelled. So such a loop
pauses now and then, as long as a thread needs to wake up.
"""

import selectors
import time
from typing import List, Optional, Tuple

#: A loop that has been busy for so long pauses (seconds): a hundredth of its time.
BUSY_SECONDS = 0.005
#: The kernel makes it some 50 microseconds, which the waiting thread needs; once it runs, it has the interpreter.
PAUSE_SECONDS = 1e-6
_MADE = 50e-6


class FairSelector(selectors.DefaultSelector):  # type: ignore[valid-type,misc,unused-ignore]
    """What asyncio waits with, on one thread."""

    def __init__(self) -> None:
        super().__init__()
        self._paused = time.monotonic()

    def select(self, timeout: Optional[float] = None) -> "List[Tuple[selectors.SelectorKey, int]]":
        """As the base class has it."""
        began = time.monotonic()
        if timeout is not None and timeout <= 0:
            if began - self._paused > BUSY_SECONDS:
                time.sleep(PAUSE_SECONDS)
                self._paused = began
            return super().select(timeout)
        found = super().select(timeout)
        ended = time.monotonic()
        if ended - began > _MADE:  # else something was there at once
            self._paused = ended
        return found
