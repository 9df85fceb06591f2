"""Frames in the log, to see what host and worker say to each other: `snakepit.frames`, one line for each that crosses a channel.

Off, it costs nothing: a channel that is not traced is a plain `Connection`. On, each message is decoded once more. Secrets are masked,
long texts and bytes only described, and a frame that travels in pieces is told piece by piece. `_workers.worker` opens connections here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from snakepit.telemetry.logs import frame_logger
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.attachments import part_of
from snakepit_bridge.wire.codecs import Codec
from snakepit_bridge.wire.frames import HostEvent, Window

from .carrier import Carrier
from .connection import Connection

#: Follows every call, and what belongs to none.
ALL = "*"
_KINDS = {
    getattr(frames, name): name.lower()
    for name in (
        *("CALL", "CANCEL", "CREDIT", "PING", "DRAIN", "END_SESSION", "LOOK", "TELEMETRY", "MORE_EVENTS"),
        *("HELLO", "CHUNK", "RESULT", "ERROR", "PROGRESS", "HOST_CALL", "PONG", "BYE", "STALLED", "STACKS", "PIECE", "ATTACHED", "PART"),
        *("EVENTS", "NO_EVENTS", "CALLS", "SETUP", "RECALL", "SHARED", "RETURNED"),
    )
}
#: Of a payload: so much of its text is shown; longer texts in it (characters) and further items are described.
_SHOWN = 300
_TEXT, _ITEMS, _DEPTH = 120, 8, 4
#: Calls whose end is not seen, as it came in pieces, are forgotten when so many others have come.
_MOST_CALLS = 4096


class FrameTrace:
    """What is told of one worker's frames.

    Args:
        wanted: numbers or correlation ids of calls, or `*`.
        secrets: what must not be shown, beside what looks like a secret.
    """

    def __init__(self, wanted: Iterable[str], worker_id: str, redactor: Redactor, secrets: Callable[[], Iterable[str]]) -> None:
        self._wanted = frozenset(wanted)
        self._worker_id = worker_id
        self._redactor = redactor
        self._secrets = secrets
        self._followed: dict[int, str] = {}  # call -> its correlation id
        self._log = frame_logger()

    def begins(self, call_id: int, correlation_id: str) -> None:
        """A call is about to be sent."""
        if not self._wanted.isdisjoint((ALL, str(call_id), correlation_id)):
            self._follow(call_id, correlation_id)

    def message(self, direction: str, data: bytes, codec: Codec) -> None:
        """A message crosses the channel: `->` to the worker, `<-` from it. Never raises."""
        try:
            call_id = part_of(data)
            if call_id is not None:
                self._tell(direction, frames.PART, call_id, len(data), "of an attachment")
                return
            for frame in codec.decode(data):
                self._frame(direction, frame, codec)
        except Exception as error:  # what is wrong with it is the multiplexer's to say
            self._log.debug("%s %s %d bytes that are no frames: %s", direction, self._worker_id, len(data), type(error).__name__)

    def _frame(self, direction: str, frame: Sequence[Any], codec: Codec) -> None:
        kind, call_id = frame[0], frame[1]
        if kind == frames.HOST_CALL and frame[4].get("parent") in self._followed:
            self._follow(call_id, self._followed[frame[4]["parent"]])
        if call_id in self._followed or ALL in self._wanted:  # it costs something to show it
            self._tell(direction, kind, call_id, len(codec.encode(frame)), self._shown(kind, frame))
        if kind in (frames.RESULT, frames.ERROR):
            self._followed.pop(call_id, None)

    def _tell(self, direction: str, kind: int, call_id: int, size: int, shown: str) -> None:
        correlation_id = self._followed.get(call_id, "")
        if call_id not in self._followed and ALL not in self._wanted:
            return
        name, ids = _KINDS.get(kind, f"kind {kind}"), {"correlation_id": correlation_id, "worker_id": self._worker_id}
        self._log.debug("%s %s %s call=%d size=%d %s", direction, self._worker_id, name, call_id, size, shown, extra=ids)

    def _shown(self, kind: int, frame: Sequence[Any]) -> str:
        fields = frame[2:4] if kind in (frames.CALL, frames.HOST_CALL) else frame[2:]
        if kind == frames.PIECE:
            return "the last" if frame[2] else "more follow"
        if kind == frames.ATTACHED:
            return f"with attachments of {', '.join(map(str, frame[2]))} bytes"
        known = tuple(self._secrets())
        masked = self._redactor.masked([self._cut(field, _DEPTH) for field in fields], known)
        text = self._redactor.mask(" ".join(map(repr, masked)), known)
        return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."

    def _cut(self, value: Any, depth: int) -> Any:
        """A value whose cost to show is bounded. Texts are shown whole or not at all: half a secret would not be seen as one."""
        if isinstance(value, dict) and depth:
            cut = {self._cut(key, 1): self._cut(item, depth - 1) for key, item in list(value.items())[:_ITEMS]}
            return cut if len(value) <= _ITEMS else {**cut, "...": f"{len(value) - _ITEMS} more"}
        if isinstance(value, (list, tuple)) and depth:
            items = [self._cut(item, depth - 1) for item in value[:_ITEMS]]
            return items if len(value) <= _ITEMS else [*items, f"... {len(value) - _ITEMS} more"]
        if value is None or isinstance(value, (bool, int, float)) or (isinstance(value, str) and len(value) <= _TEXT):
            return value
        return f"<{self._redactor.describe(value)}>"

    def _follow(self, call_id: int, correlation_id: str) -> None:
        self._followed[call_id] = correlation_id
        if len(self._followed) > _MOST_CALLS:
            del self._followed[next(iter(self._followed))]


class TracedConnection(Connection):
    """A connection whose frames are told. Each call is in one of its own, where it can be followed."""

    _may_together = False

    def __init__(
        self, trace: FrameTrace, carrier: Carrier, codec: Codec, on_event: Callable[[HostEvent], None], on_closed: Callable[[str], None]
    ) -> None:
        super().__init__(carrier, codec, on_event, on_closed)
        self._trace = trace
        self._codec = codec

    def call(self, call_id: int, tool: str, args: dict[str, Any], options: dict[str, Any], window: Window) -> None:
        """As `Connection.call`; the only place that knows a large call's correlation id before its pieces leave."""
        self._trace.begins(call_id, str(options.get("cid", "")))
        super().call(call_id, tool, args, options, window)

    def call_ahead(self, call_id: int, tool: str, args: dict[str, Any], options: dict[str, Any], window: Window) -> bool:
        """As `Connection.call_ahead`."""
        self._trace.begins(call_id, str(options.get("cid", "")))
        return super().call_ahead(call_id, tool, args, options, window)

    def next_message(self) -> bytes | None:
        """What to write next."""
        message = super().next_message()
        if message:
            self._trace.message("->", message, self._codec)
        return message

    def receive(self, message: bytes) -> bool:
        """A message has come."""
        self._trace.message("<-", message, self._codec)
        return super().receive(message)


def connect(
    trace: FrameTrace | None, carrier: Carrier, codec: Codec, on_event: Callable[[HostEvent], None], on_closed: Callable[[str], None]
) -> Connection:
    """A connection, traced or not."""
    if trace is None:
        return Connection(carrier, codec, on_event, on_closed)
    return TracedConnection(trace, carrier, codec, on_event, on_closed)
