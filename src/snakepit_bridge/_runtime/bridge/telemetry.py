"""The telemetry stream of the public service: a worker's events out, and in what the host wants of them.

Until the host has said so nothing is sent and the newest events are kept; a host that reads slowly loses the oldest.
"""

import asyncio
import collections
import fnmatch
import random
import time
from typing import Any, AsyncIterator, Deque, List, Mapping, Optional, Tuple

from ... import telemetry
from ...bridge import values
from ...grpc import snakepit_pb2 as pb
from ...wire.frames import Failure

#: Events that wait for a host to read them.
_MOST_WAITING = 1024


class Telemetry:
    """Of one worker, for one reader at a time. Lives on the server's loop; `emit` may be called from any thread."""

    def __init__(self, worker_id: str) -> None:
        self._loop = asyncio.get_event_loop()
        self._worker_id = worker_id
        self._waiting: Deque[Any] = collections.deque(maxlen=_MOST_WAITING)
        self._news = asyncio.Event()
        self._enabled: Optional[bool] = None  # None: the host has not said
        self._sampling: List[Tuple[str, float]] = []
        self._allow: List[str] = []
        self._deny: List[str] = []
        telemetry.listen(self.emit)

    def emit(self, event: str, measurements: Mapping[str, Any], metadata: Mapping[str, Any], correlation_id: str) -> None:
        """Something has happened."""
        if self._enabled is not False and self._is_wanted(event):
            self._put(self._message(event, measurements, metadata, time.time_ns(), correlation_id))

    def tool_began(self, tool: str, correlation_id: str) -> None:
        """A call has come."""
        self._note("tool.execution.start", {"system_time": time.time_ns()}, {"tool": tool}, correlation_id)

    def tool_ended(self, tool: str, seconds: float, end: Any, correlation_id: str) -> None:
        """A call has ended, well or not."""
        failed = isinstance(end, Failure)
        facts = {"tool": tool, "error": str(end.info.get("type") or end.info.get("code") or "")} if failed else {"tool": tool}
        name = "tool.execution.exception" if failed else "tool.execution.stop"
        self._note(name, {"duration": int(seconds * 1e9)}, facts, correlation_id)

    async def events(self) -> AsyncIterator[Any]:
        """What is to be sent, for as long as somebody reads."""
        while True:
            while self._enabled and self._waiting:
                item = self._waiting.popleft()
                yield self._message(*item) if isinstance(item, tuple) else item
            self._news.clear()
            if not (self._enabled and self._waiting):
                await self._news.wait()

    async def obey(self, controls: Any) -> None:
        """Do as the host says, until it says no more."""
        async for control in controls:
            which = control.WhichOneof("control")
            if which == "toggle":
                self._enabled = control.toggle.enabled
                if not self._enabled:
                    self._waiting.clear()
            elif which == "sampling":
                rate = min(1.0, max(0.0, control.sampling.sampling_rate))
                self._sampling = [(pattern, rate) for pattern in list(control.sampling.event_patterns) or ["*"]]
            elif which == "filter":
                self._allow, self._deny = list(control.filter.allow), list(control.filter.deny)
            self._news.set()

    def _note(self, event: str, *facts: Any) -> None:
        """`emit` of what nobody changes later: it becomes a message when it leaves, and most never do, where no host listens."""
        if self._enabled is not False and self._is_wanted(event):
            measurements, metadata, correlation_id = facts
            self._put((event, measurements, metadata, time.time_ns(), correlation_id))

    def _put(self, item: Any) -> None:
        self._waiting.append(item)
        if self._enabled:
            try:
                self._loop.call_soon_threadsafe(self._news.set)
            except RuntimeError:
                pass  # the worker leaves

    def _message(
        self, event: str, measurements: Mapping[str, Any], metadata: Mapping[str, Any], timestamp_ns: int, correlation_id: str
    ) -> Any:
        message = pb.TelemetryEvent(
            event_parts=event.split("."),
            metadata=values.texts({"worker_id": self._worker_id, **metadata}),
            timestamp_ns=timestamp_ns,
            correlation_id=correlation_id,
        )
        for name, value in measurements.items():
            _measure(message.measurements[str(name)], value)
        return message

    def _is_wanted(self, event: str) -> bool:
        if _matches(event, self._deny) or (self._allow and not _matches(event, self._allow)):
            return False
        rate = next((rate for pattern, rate in self._sampling if fnmatch.fnmatchcase(event, pattern)), 1.0)
        return rate >= 1.0 or random.random() < rate  # noqa: S311 - a share of events


def _matches(event: str, patterns: List[str]) -> bool:
    return any(fnmatch.fnmatchcase(event, pattern) for pattern in patterns)


def _measure(field: Any, value: Any) -> None:
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        field.int_value = int(value)
    elif isinstance(value, (int, float)):
        field.float_value = float(value)
    else:
        field.string_value = str(value)
