"""Results that the end of this process is not to take along: they are written down, or have left, before another call begins.

Where the carrier cannot say that something has left, the host says that it has come:

host:   SETUP {"arrived": 0}: it answers
worker: SHARED {"arrived": number}, after what is to have come
host:   SETUP {"arrived": the same number}
"""

import threading
from typing import Callable, Optional

from ..shared.spool import Spool
from ..wire.attachments import Encoded

#: How often who waits looks whether there is a channel still (seconds).
_LOOK_SECONDS = 0.5


class SafeResults:
    """Those of one link.

    Args:
        lock: the link's. left: has all that waited been taken by the carrier? over: does nothing leave any more? Both under the lock.

    Attributes:
        spool: where they are written down; None: nowhere.
        pending: one that may not have left is written down nowhere.
        arrived: how often the host has answered that all has come; -1: it never does.
        waits: somebody does, for news of either kind.
    """

    def __init__(self, lock: threading.Lock, left: Callable[[], bool], over: Callable[[], bool]) -> None:
        self.spool: Optional[Spool] = None
        self.pending = False
        self.arrived = -1
        self.waits = False
        self._asked = 0
        self._left = left
        self._over = over
        self._news = threading.Condition(lock)

    def about_to_leave(self, call_id: int, frame: Encoded, *, first: bool) -> None:
        """One is. `first`: it may arrive before what was sent before it; then it is written down, if there is room."""
        if not first or self.spool is None or not isinstance(frame, bytes) or not self.spool.put(call_id, frame):
            self.pending = True

    def secure(self, ask: Optional[Callable[[int], None]]) -> None:
        """Return when all is safe; not if the channel is broken, or has ended.

        Args:
            ask: has the host answer when it has read what was sent before. None: what the carrier has taken has left this process.
        """
        self.pending = False
        self._wait(self._left)
        if ask is not None and self.arrived >= 0:
            self._asked += 1
            ask(self._asked)
            self._wait(lambda: self.arrived >= self._asked)

    def has_arrived(self, token: int) -> None:
        """The host has answered."""
        with self._news:
            self.arrived = token
            self._news.notify_all()

    def tell(self) -> None:
        """Something has changed; under the lock."""
        self._news.notify_all()

    def _wait(self, done: Callable[[], bool]) -> None:
        with self._news:
            self.waits = True
            while not (done() or self._over()):
                self._news.wait(_LOOK_SECONDS)
            self.waits = False
