"""A worker's telemetry events on their way to the host: what tools emit, made ready to travel on the spot, for `wire.event_queue`.

Until the host has said whether it wants any, a few are kept: an adapter's `initialize` runs before that. A host that says nothing
before its first call wants none.
"""

import collections
import time
from typing import Any, Callable, Deque, Dict, Mapping, Optional, Tuple

from .. import telemetry
from ..wire.event_filter import EventFilter
from ..wire.event_queue import EventQueue
from ..wire.plain import Unserialisable
from .cancel_threads import shielded

#: Kept until the host has spoken.
_MOST_EARLY = 256
_PLAIN = (str, int, float, type(None))

_Event = Tuple[str, Dict[str, Any], Dict[str, Any], float, str]


class Events:
    """Of one worker. Listens to what its tools emit from the beginning; `emit` may be called from any thread."""

    def __init__(self) -> None:
        self._filter: Optional[EventFilter] = None  # the host has not spoken
        self._early: Deque[_Event] = collections.deque(maxlen=_MOST_EARLY)
        self._encode: Optional[Callable[[Any], bytes]] = None
        self._queue: Optional[EventQueue] = None
        telemetry.add_listener(self.emit)

    def on_main_thread(self) -> None:
        """This is the worker's main thread: what is told here outside of calls is this worker's too."""
        telemetry.listen_on_this_thread(self.emit)

    def open(self, encode: Callable[[Any], bytes], queue: EventQueue) -> None:
        """The channel stands."""
        self._encode = encode
        self._queue = queue

    def emit(self, name: str, measurements: Mapping[str, Any], metadata: Mapping[str, Any], correlation_id: str) -> None:
        """Something has happened."""
        wanted = self._filter
        if wanted is None or wanted.wants(str(name)):
            shielded(self._take, (str(name), dict(measurements), dict(metadata), time.time(), correlation_id), wanted is None)

    def first_call(self) -> None:
        """A call has come: a host that wanted events would have said so before."""
        if self._filter is None:
            self.obey(EventFilter(enabled=False))

    def obey(self, wanted: EventFilter) -> None:
        """Do as the host says from now on."""
        self._filter = wanted
        early, self._early = self._early, collections.deque(maxlen=_MOST_EARLY)
        if wanted.enabled:
            telemetry.add_listener(self.emit)
            for event in early:
                if wanted.wants(event[0]):
                    self._put(event)
        else:
            telemetry.remove_listener(self.emit)
            if self._queue is not None:
                self._queue.clear()

    def close(self) -> None:
        """The worker leaves; what waits still goes."""
        telemetry.remove_listener(self.emit)

    def _take(self, event: _Event, early: bool) -> None:
        if early:
            self._early.append(event)
        else:
            self._put(event)

    def _put(self, event: _Event) -> None:
        if self._encode is not None and self._queue is not None:
            self._queue.put(self._encoded(self._encode, event))

    @staticmethod
    def _encoded(encode: Callable[[Any], bytes], event: _Event) -> Optional[bytes]:
        """As it travels; what cannot travel goes as its text. None: not even that."""
        try:
            return encode(event)
        except Unserialisable:
            pass
        try:
            name, measurements, metadata, at, correlation_id = event
            return encode((name, _as_texts(measurements), _as_texts(metadata), at, correlation_id))
        except Exception:
            return None


def _as_texts(facts: Mapping[Any, Any]) -> Dict[str, Any]:
    return {str(name): value if isinstance(value, _PLAIN) else str(value) for name, value in facts.items()}
