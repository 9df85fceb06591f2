"""The answering side of calls: chunks, results and errors out, as credit allows. Plain state, no I/O.

A worker answers the host's calls, the host those of host tools: both by this. Not for two threads at once. A stream without
credit is told so (`offer_chunk` gives False); it never piles chunks up here beyond its window.
"""

from typing import Any, Dict, List, Optional, Tuple

from .attachments import Encoded
from .codecs import Codec
from .frames import ERROR, PIECE, PROGRESS, RESULT, Cancel, Credit, Window
from .inbox import Violation
from .outbox import Lane, Outbox
from .payload import BESIDE_BYTES, TooLarge
from .plain import Unserialisable, find_culprit

#: A stream that sends faster than this floods (seconds per chunk): it is better off in batches. Well above what a hand-over
#: costs, about 0.1 ms, so that no stream is slowed down by it noticeably.
FLOOD_SECONDS = 5e-4
#: Facts about the end of a call in which nothing is a user's.
_OURS = frozenset(("execution_time_ms", "streamed", "chunks", "final_sent"))


class Outflow:
    """What one open call sends: its lane, the credit left, and the newest report that has not left.

    `held` is a report that is to go as a chunk and lacks credit; `report` one that goes beside a unary call's result, of which there was
    one if it has `reported`.
    """

    __slots__ = (
        "_outbox", "bytes_left", "call_id", "cancelled", "chunks_left", "held", "lane", "limit", "marked", "report", "reported", "sent",
        "window",
    )  # fmt: skip

    def __init__(self, call_id: int, window: Window, outbox: Outbox) -> None:
        self.call_id = call_id
        self.window = window
        self.chunks_left = window.chunks
        self.bytes_left = window.bytes
        self.sent = 0
        self.marked = 0, 0.0, False  # when the carrier was last woken: chunks sent by then, seconds, was it in a flood?
        self.cancelled = False
        self.report: Optional[Encoded] = None
        self.reported = False
        self.held: Optional[Encoded] = None
        self.lane = Lane(call_id)
        self.limit = outbox.max_payload
        self._outbox = outbox

    @classmethod
    def closed(cls, call_id: int) -> "Outflow":
        """For a call that has ended meanwhile: takes chunks and drops them."""
        outflow = cls(call_id, Window(), Outbox(Codec()))
        outflow.cancelled = True
        return outflow

    def offer(self, item: Encoded, extra: Optional[Dict[str, Any]] = None) -> bool:
        """Send one encoded chunk if there is credit for it; False: not now. On the path of every chunk, hence in one piece.

        A chunk larger than the whole byte window passes when nothing else of the stream is on its way. Chunks of a
        cancelled call are taken and dropped: nobody reads them.

        Raises:
            Unserialisable: `extra` cannot travel, or the chunk is too large (`TooLarge`); nothing was sent.
        """
        if self.cancelled:
            return True
        size, beside = len(item), None
        if size > self.limit:
            raise TooLarge("chunk", size, self.limit)
        if extra is not None:
            beside = self._outbox.encode(extra)
            size += len(beside)
            if size > self.limit + BESIDE_BYTES:
                raise TooLarge("chunk", size, self.limit, beside=True)
        if self.held is not None or self.chunks_left <= 0 or (size > self.bytes_left and self.chunks_left < self.window.chunks):
            return False
        self.chunks_left -= 1
        self.bytes_left -= size
        self.sent += 1
        lane = self.lane
        lane.chunks.append(item if beside is None else (item, beside))
        if not lane.queued:
            self._outbox.enqueue(lane)
        return True

    def floods(self, now: float) -> bool:
        """Has it sent more than a chunk per `FLOOD_SECONDS` since the mark, or before it? One pause does not end a flood."""
        sent, then, before = self.marked
        fast = now - then < (self.sent - sent) * FLOOD_SECONDS
        self.marked = sent, then, fast
        return fast or before

    def mark(self, now: float) -> None:
        """From here on `floods` counts."""
        self.marked = self.sent, now, self.marked[2]

    def offer_progress(self, item: Encoded) -> None:
        """Send a stream's report as a chunk; without credit it waits, and a newer one takes its place."""
        self.held = None if self.offer_held(item) else item

    def offer_held(self, item: Encoded) -> bool:
        """Send a report that was held, or is new, before anything else."""
        self.held = None
        return self.offer(item, {"progress": True})


class Answerer:
    """The calls that the other side has asked for."""

    def __init__(self, codec: Codec, outbox: Outbox) -> None:
        self.codec = codec.for_answers()
        self._outbox = outbox
        self._calls: Dict[int, Outflow] = {}
        self._reporting: Dict[int, Outflow] = {}  # calls whose `report` is to be sent

    @property
    def open_calls(self) -> List[int]:
        """Calls that have not ended."""
        return list(self._calls)

    def opened(self, call_id: int, options: Dict[str, Any]) -> None:
        """The other side asks.

        Raises:
            Violation: it may not.
        """
        if call_id in self._calls:
            raise Violation("call %d is open already" % call_id)
        self._calls[call_id] = Outflow(call_id, _window_of(options), self._outbox)

    def opened_many(self, numbers: List[Any], args: List[Any], options: Dict[str, Any]) -> None:
        """The other side asks for several calls at once.

        Raises:
            Violation: it may not.
        """
        if len(numbers) != len(args) or not all(type(item) is dict for item in args):
            raise Violation("calls that come together are so many numbers, and as many arguments by name")
        window = _window_of(options)
        for number in numbers:
            if type(number) is not int or number < 1 or number in self._calls:
                raise Violation("of calls that come together, one is open already, or has no number")
            self._calls[number] = Outflow(number, window, self._outbox)

    def forget(self, call_id: int) -> None:
        """A call is asked for no more, and has not begun. Nobody waits for its end."""
        self._calls.pop(call_id, None)
        self._reporting.pop(call_id, None)

    def own(self, data: Encoded) -> Encoded:
        """A chunk with bytes of its own: see `Parcel.own`.

        Raises:
            TooLarge: it may not leave.
        """
        if len(data) > self._outbox.max_payload:
            raise TooLarge("chunk", len(data), self._outbox.max_payload)
        return self._outbox.own(data)

    def check(self, what: str, encoded: Encoded, *values: Any) -> None:
        """See `Outbox.check`."""
        self._outbox.check(what, encoded, self.codec, *values)

    def packed(self, value: Any) -> Encoded:
        """A chunk as it travels, with bytes of its own.

        Raises:
            Unserialisable: it cannot.
        """
        return self.own(self.codec.pack_value(value))

    def outflow(self, call_id: int) -> Optional[Outflow]:
        """The sending side of an open call; for those who send many chunks."""
        return self._calls.get(call_id)

    def offer_chunk(self, call_id: int, item: Encoded, extra: Optional[Dict[str, Any]] = None) -> bool:
        """`Outflow.offer` by call id; chunks of a call that has ended are taken and dropped."""
        call = self._calls.get(call_id)
        return call is None or call.offer(item, extra)

    def offer_progress(self, call_id: int, item: Encoded) -> None:
        """`Outflow.offer_progress` by call id."""
        call = self._calls.get(call_id)
        if call is not None:
            call.offer_progress(item)

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
            call.report = self._frame((PROGRESS, call_id, payload))
            call.reported = True
            self._reporting[call_id] = call

    def result(self, call_id: int, value: Any, metadata: Dict[str, Any]) -> None:
        """End a call well.

        Raises:
            Unserialisable: the value cannot travel; the call is still open.
        """
        frame = self.result_frame(call_id, value, metadata)
        if frame is not None:
            self.end(call_id, frame)

    def result_frame(self, call_id: int, value: Any, metadata: Dict[str, Any]) -> Optional[Encoded]:
        """What ends an open call well, for `end`. Changes nothing here.

        Raises:
            Unserialisable: the value cannot travel.
        """
        call = self._calls.get(call_id)
        if call is None:
            return None
        metadata = dict(metadata)  # what became of the value is told in it
        if metadata.get("streamed"):  # counted now: a thread of the tool's may have reported until here
            metadata["chunks"] = call.sent
        # Nobody reads the value of a cancelled call.
        return self._frame((RESULT, call_id, None if call.cancelled else value, metadata), metadata)

    def error(self, call_id: int, info: Dict[str, Any]) -> None:
        """End a call with an error: plain values only."""
        self.end(call_id, self.error_frame(call_id, info))

    def error_frame(self, call_id: int, info: Dict[str, Any]) -> bytes:
        """What ends a call with an error, for `end`."""
        return self.codec.encode((ERROR, call_id, info))

    def credit(self, call_id: int, chunks: int, nbytes: int) -> Optional[Credit]:
        """The other side has taken chunks of a stream."""
        call = self._calls.get(call_id)
        if call is None:
            return None
        call.chunks_left += chunks
        call.bytes_left += nbytes
        if chunks < 0 or nbytes < 0 or call.chunks_left > call.window.chunks or call.bytes_left > call.window.bytes:
            raise Violation("call %d was granted more than it has used" % call_id)
        if call.held is not None:
            call.offer_progress(call.held)
        return Credit(call_id)

    def cancelled(self, call_id: int, reason: str) -> Optional[Cancel]:
        """The other side has no more use for a call."""
        call = self._calls.get(call_id)
        if call is None or call.cancelled:
            return None
        call.cancelled = True
        if self._outbox.drop(call.lane):
            self._outbox.put_control(self.codec.encode((PIECE, call_id, False, b"")))
        call.lane = Lane(call_id)  # for the frame that ends it
        return Cancel(call_id, reason)

    def send_reports(self) -> None:
        """Reports leave as late as can be: the newest of each call."""
        if not self._reporting:
            return
        for call in list(self._reporting.values()):
            if not call.lane.queued:  # a large report is still leaving: the newest waits for that
                del self._reporting[call.call_id]
                self._send_report(call)

    def _frame(self, frame: Tuple[Any, ...], facts: Optional[Dict[str, Any]] = None) -> Encoded:
        """With bytes of its own: whoever has given the value may go on using it."""
        try:
            data = self.codec.pack_frame(frame, frame[2] if facts is not None and _OURS.issuperset(facts) else frame, facts)
        except Unserialisable as error:
            found = find_culprit(frame[2], error.__cause__ or error, forgiving=self.codec.forgiving)
            raise found from error  # its path begins at the value, not at the frame
        self._outbox.check("result" if frame[0] == RESULT else "report", data, self.codec, frame[2])
        return self._outbox.own(data)

    def end(self, call_id: int, frame: Encoded) -> None:
        """End an open call by its last frame; harmless when it has ended."""
        call = self._calls.pop(call_id, None)
        if call is None:
            return
        if self._reporting.pop(call_id, None) is not None:
            self._send_report(call)
        self._outbox.put(call.lane, frame)

    def _send_report(self, call: Outflow) -> None:
        if call.report is not None:
            self._outbox.put(call.lane, call.report)
            call.report = None


def _window_of(options: Dict[str, Any]) -> Window:
    window = options.get("window")
    if not isinstance(window, list) or len(window) != 2 or not all(type(n) is int and n > 0 for n in window):
        raise Violation("a call's window is two whole numbers above 0, not %.60r" % (window,))
    return Window(window[0], window[1])
