"""The calls of host tools that this worker has open: what came for each, and who waits for it.

The link opens, feeds and closes them under its lock; waiting is each one's own, so that an answer wakes one thread.
"""

import collections
import itertools
import threading
from typing import Any, Callable, Deque, Dict, List, Optional

from ..wire.frames import HOST_CALL_BASE, Chunks


class Ask:
    """One call of a host tool.

    Attributes:
        parent: the tool's own call.
        cancelled: the tool's call has been cancelled; nothing more comes.
        on_news: called, on the carrier's thread, when something has come; for who waits in an event loop.
    """

    __slots__ = ("_news", "call_id", "cancelled", "events", "on_news", "parent")

    def __init__(self, call_id: int, parent: int) -> None:
        self.call_id = call_id
        self.parent = parent
        self.events: Deque[Any] = collections.deque()
        self.cancelled = False
        self.on_news: Optional[Callable[[], Any]] = None
        self._news = threading.Semaphore(0)

    def put(self, event: Any) -> None:
        """Something has come; None: the tool's call has been cancelled."""
        if event is None:
            self.cancelled = True
        else:
            self.events.append(event)
        self._news.release()

    def wait(self, seconds: Optional[float]) -> bool:
        """Wait for news; False if none came in time."""
        return self._news.acquire(timeout=None if seconds is None else min(seconds, threading.TIMEOUT_MAX))


class Asks:
    """The open ones, by their numbers."""

    def __init__(self) -> None:
        self._numbers = itertools.count(HOST_CALL_BASE)
        self._open: Dict[int, Ask] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def open(self, parent: int) -> Ask:
        """A new one, for a tool's call."""
        ask = Ask(next(self._numbers), parent)
        self._open[ask.call_id] = ask
        return ask

    def close(self, ask: Ask) -> None:
        """Nobody waits for it any more."""
        self._open.pop(ask.call_id, None)

    def of(self, parent: int) -> List[Ask]:
        """Those of one call."""
        return [ask for ask in list(self._open.values()) if ask.parent == parent]

    def take(self, event: Any) -> Optional[Callable[[], Any]]:
        """An answer has come; who else is to be told."""
        ask = self._open.get(event.call_id)
        if ask is None:
            return None
        if not isinstance(event, Chunks):
            del self._open[event.call_id]
        ask.put(event)
        return ask.on_news

    def parent_cancelled(self, parent: int) -> List[Optional[Callable[[], Any]]]:
        """A call has been cancelled: whoever waits in it for a host tool waits no longer. Who else is to be told."""
        told = []
        for ask in self.of(parent):
            ask.put(None)
            told.append(ask.on_news)
        return told

    def parents_gone(self) -> None:
        """The channel has ended: nothing will come any more."""
        for ask in list(self._open.values()):
            ask.put(None)
            if ask.on_news is not None:
                ask.on_news()
