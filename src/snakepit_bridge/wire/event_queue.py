"""Encoded telemetry events that wait to leave: bounded, the oldest give way, and one batch at most is on its way.

Filled from any thread, emptied by the multiplexer. The next batch leaves when the host says that it has taken the one before, so that
a host that is slow costs events, and never holds up a result or fills the channel.
"""

import collections
import itertools
from typing import Any, Callable, Deque, List, NamedTuple, Optional, Tuple

#: Events that wait, at most.
MOST_WAITING = 4096
#: One that takes more than this (bytes) is dropped.
MOST_BYTES = 16 * 1024
#: A batch ends when it has so many events, or so many bytes.
_BATCH_EVENTS, _BATCH_BYTES = 256, 64 * 1024


class Batch(NamedTuple):
    """Events that leave together; `dropped`: how many have not left and never will, since the beginning."""

    items: List[bytes]
    dropped: int


class EventQueue:
    """Waiting events. Without a lock, as who emits may be interrupted anywhere, or be a signal handler or a finalizer.

    Args:
        wake: called when there is something to take, at most once until it is looked for; from the thread that put it.
    """

    def __init__(self, wake: Callable[[], Any]) -> None:
        self._wake = wake
        self._numbers = itertools.count(1)
        self._waiting: Deque[Tuple[int, bytes]] = collections.deque(maxlen=MOST_WAITING)
        self._woken = False
        self._under_way = False
        self._newest = self._taken = 0  # the highest number that was taken, and how many were

    def put(self, item: Optional[bytes]) -> None:
        """Take one in. None, or one that is too large, only counts."""
        number = next(self._numbers)
        if item is None or len(item) > MOST_BYTES:
            return
        self._waiting.append((number, item))
        if not (self._woken or self._under_way):
            self._woken = True
            self._wake()

    @property
    def ready(self) -> bool:
        """May a batch leave?"""
        return bool(self._waiting) and not self._under_way

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, *, at_last: bool = False) -> Optional[Batch]:
        """The next batch, if one may leave. `at_last`: whatever is on its way, as nothing follows."""
        self._woken = False
        if self._under_way and not at_last:
            return None
        items: List[bytes] = []
        size = 0
        while self._waiting and len(items) < _BATCH_EVENTS and size < _BATCH_BYTES:
            items.append(self._pop())
            size += len(items[-1])
        if not items:
            return None
        self._under_way = True
        return Batch(items, self._newest - self._taken)

    def go_on(self) -> None:
        """The host has taken the last batch."""
        self._under_way = False

    def clear(self) -> None:
        """Nobody wants them any more."""
        while self._waiting:
            self._pop()

    def _pop(self) -> bytes:
        number, item = self._waiting.popleft()
        self._newest = max(self._newest, number)
        self._taken += 1
        return item
