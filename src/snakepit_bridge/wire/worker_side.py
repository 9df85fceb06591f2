"""The worker's half of the multiplexer: calls in, chunks and results out. Plain state, no I/O.

Not for two threads at once: the runtime holds a lock around it. A stream without credit is told so (`offer_chunk` gives
False); it never piles chunks up here beyond its window.
"""

from typing import Any, Dict, List, Optional

from .codecs import Codec
from .frames import (
    BYE,
    CALL,
    CANCEL,
    CREDIT,
    DRAIN,
    ERROR,
    HELLO,
    PING,
    PONG,
    PROGRESS,
    RESULT,
    Call,
    Cancel,
    Credit,
    Drain,
    Unknown,
    Window,
    WorkerEvent,
)
from .inbox import Inbox, Violation
from .outbox import Outbox

_SHAPES = {CALL: (str, dict, dict), CANCEL: (str,), CREDIT: (int, int), PING: (int,), DRAIN: ()}


class _OpenCall:
    """Credit left, chunks sent, and the newest progress report that has not left (`held`: as a chunk, for want of credit)."""

    __slots__ = ("bytes_left", "cancelled", "chunks_left", "held", "progress", "sent", "window")

    def __init__(self, window: Window) -> None:
        self.window = window
        self.chunks_left = window.chunks
        self.bytes_left = window.bytes
        self.sent = 0
        self.cancelled = False
        self.progress = None  # type: Optional[bytes]
        self.held = None  # type: Optional[bytes]

    def may_send(self, size: int) -> bool:
        """Is there credit for a chunk of `size` bytes? One larger than the window passes when it is alone."""
        return self.chunks_left > 0 and (size <= self.bytes_left or self.chunks_left >= self.window.chunks)


class WorkerMultiplexer:
    """Answers all calls of the host over one ordered channel."""

    def __init__(self, codec: Codec, piece_bytes: Optional[int] = None) -> None:
        self.codec = codec
        self._outbox = Outbox(codec) if piece_bytes is None else Outbox(codec, piece_bytes)
        self._inbox = Inbox(codec, _SHAPES, self._handle, Unknown)
        self._calls = {}  # type: Dict[int, _OpenCall]
        self._reporting = {}  # type: Dict[int, _OpenCall]  # calls whose `progress` is to be sent

    @property
    def open_calls(self) -> List[int]:
        """Calls that have not ended."""
        return list(self._calls)

    @property
    def has_output(self) -> bool:
        """Does anything wait to be written?"""
        return bool(self._outbox) or bool(self._reporting)

    def hello(self, info: Dict[str, Any]) -> None:
        """Introduce this worker: the first frame it sends."""
        self._outbox.put_control(self.codec.encode((HELLO, 0, info)))

    def offer_chunk(self, call_id: int, item: bytes, extra: Optional[Dict[str, Any]] = None) -> bool:
        """Send one encoded chunk if the stream has credit for it; False: not now.

        A chunk larger than the whole byte window passes when nothing else of the stream is on its way. Chunks of a
        cancelled call are taken and dropped: nobody reads them.
        """
        call = self._calls.get(call_id)
        if call is None or call.cancelled:
            return True
        if call.held is not None or not call.may_send(len(item)):
            return False
        self._send_chunk(call_id, call, item, extra)
        return True

    def offer_progress(self, call_id: int, item: bytes) -> None:
        """Send a stream's progress report as a chunk; without credit it waits, and a newer one takes its place."""
        call = self._calls.get(call_id)
        if call is None or call.cancelled:
            return
        call.held = item
        self._send_held(call_id, call)

    def chunks_sent(self, call_id: int) -> int:
        """How many chunks of an open call have been taken for sending."""
        call = self._calls.get(call_id)
        return call.sent if call is not None else 0

    def progress(self, call_id: int, payload: Dict[str, Any]) -> None:
        """Report on a unary call. Replaces a report that has not left.

        Raises:
            Unserialisable: the report cannot travel.
        """
        call = self._calls.get(call_id)
        if call is not None and not call.cancelled:
            call.progress = self.codec.encode((PROGRESS, call_id, payload))
            self._reporting[call_id] = call

    def result(self, call_id: int, value: Any, metadata: Dict[str, Any]) -> None:
        """End a call well.

        Raises:
            Unserialisable: the value cannot travel; the call is still open.
        """
        call = self._calls.get(call_id)
        if call is not None:
            # Nobody reads the value of a cancelled call; and pieces of it would follow the rest of a dropped chunk.
            self._end(call_id, self.codec.encode((RESULT, call_id, None if call.cancelled else value, metadata)))

    def error(self, call_id: int, info: Dict[str, Any]) -> None:
        """End a call with an error: plain values only."""
        if call_id in self._calls:
            self._end(call_id, self.codec.encode((ERROR, call_id, info)))

    def bye(self, reason: str) -> None:
        """Say that this worker leaves."""
        self._outbox.put_control(self.codec.encode((BYE, 0, reason)))

    def next_message(self) -> Optional[bytes]:
        """The next message to write, or None."""
        if self._reporting:
            for call in self._reporting.values():
                if call.progress is not None:
                    self._outbox.put_control(call.progress)
                    call.progress = None
            self._reporting.clear()
        return self._outbox.next_message()

    def receive(self, message: bytes) -> List[WorkerEvent]:
        """What a message from the host means. Never raises."""
        return self._inbox.read(message)

    def _end(self, call_id: int, frame: bytes) -> None:
        del self._calls[call_id]
        report = self._reporting.pop(call_id, None)
        if report is not None and report.progress is not None:
            self._outbox.put_control(report.progress)
        self._outbox.put(call_id, frame)

    def _send_held(self, call_id: int, call: _OpenCall) -> None:
        item = call.held
        if item is not None and call.may_send(len(item)):
            call.held = None
            self._send_chunk(call_id, call, item, {"progress": True})

    def _send_chunk(self, call_id: int, call: _OpenCall, item: bytes, extra: Optional[Dict[str, Any]]) -> None:
        call.chunks_left -= 1
        call.bytes_left -= len(item)
        self._outbox.put_chunk(call_id, call.sent, item, extra)
        call.sent += 1

    def _handle(self, frame: List[Any]) -> Optional[WorkerEvent]:
        kind, call_id = frame[0], frame[1]
        if kind == CALL:
            if call_id in self._calls:
                raise Violation("call %d is open already" % call_id)
            self._calls[call_id] = _OpenCall(_window_of(frame[4]))
            return Call(call_id, frame[2], frame[3], frame[4])
        if kind == CREDIT:
            return self._credit(call_id, frame[2], frame[3])
        if kind == CANCEL:
            return self._cancel(call_id, frame[2])
        if kind == PING:
            self._outbox.put_control(self.codec.encode((PONG, 0, frame[2])))
            return None
        return Drain()

    def _credit(self, call_id: int, chunks: int, nbytes: int) -> Optional[WorkerEvent]:
        call = self._calls.get(call_id)
        if call is None:
            return None
        call.chunks_left += chunks
        call.bytes_left += nbytes
        if chunks < 0 or nbytes < 0 or call.chunks_left > call.window.chunks or call.bytes_left > call.window.bytes:
            raise Violation("call %d was granted more than it has used" % call_id)
        self._send_held(call_id, call)
        return Credit(call_id)

    def _cancel(self, call_id: int, reason: str) -> Optional[WorkerEvent]:
        self._inbox.forget(call_id)
        call = self._calls.get(call_id)
        if call is None or call.cancelled:
            return None
        call.cancelled = True
        self._outbox.drop(call_id)
        return Cancel(call_id, reason)


def _window_of(options: Dict[str, Any]) -> Window:
    window = options.get("window")
    if not isinstance(window, list) or len(window) != 2 or not all(type(n) is int and n > 0 for n in window):
        raise Violation("a call's window is two whole numbers above 0, not %.60r" % (window,))
    return Window(window[0], window[1])
