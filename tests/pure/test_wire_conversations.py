"""Two multiplexers, two queues of messages, and everything that can happen between them, in any order.

A model beside them keeps books of its own: what was offered, delivered, granted, cancelled. Pieces are tiny, so that
calls, chunks and results are cut all the time, and a cancel or a loss finds them half sent.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import fake_store
from apart_codec import ApartCodec
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.attachments import PART_HEAD, Encoded, part_of
from snakepit_bridge.wire.codecs import Codec, JsonCodec, MsgpackCodec
from snakepit_bridge.wire.frames import ATTACHED, CALL, CANCEL, CHUNK, CREDIT, ERROR, PART, PIECE, PING, PONG, RESULT, Window
from snakepit_bridge.wire.host_side import HostMultiplexer
from snakepit_bridge.wire.worker_side import WorkerMultiplexer

MOST_CALLS = 5
BULK = (CALL, CHUNK, RESULT, ERROR, PIECE, ATTACHED)
CONTROL = (CANCEL, CREDIT, PING, PONG)
FITTING = -1  # a chunk that uses up exactly what is left of its window
NOTHING = None  # the smallest chunk there is


@dataclasses.dataclass
class Call:
    """The books of one call; the first half is about the host, the second about the worker."""

    call_id: int
    window: Window
    args: dict[str, Any]
    cancelled: bool = False
    ended: list[Any] = dataclasses.field(default_factory=list)
    delivered: list[tuple[Any, Any]] = dataclasses.field(default_factory=list)
    reports_in: list[int] = dataclasses.field(default_factory=list)
    taken: int = 0  # chunks the consumer has had, and granted again
    grants: collections.deque[tuple[int, int]] = dataclasses.field(default_factory=collections.deque)  # on their way

    seen: bool = False
    told: bool = False  # of the cancel
    accepted: list[tuple[Any, Any]] = dataclasses.field(default_factory=list)
    sizes: list[int] = dataclasses.field(default_factory=list)
    booked: list[int] = dataclasses.field(default_factory=lambda: [0, 0])  # chunks and bytes granted, as far as the worker knows
    held: tuple[Any, int] | None = None
    reports_out: list[int] = dataclasses.field(default_factory=list)
    end: tuple[type, Any] | None = None

    @property
    def running(self) -> bool:
        return self.seen and self.end is None

    def may_send(self, size: int) -> bool:
        """Is there credit in the worker? One chunk too large for the window may go alone."""
        chunks = len(self.sizes) - self.booked[0]
        return chunks < self.window.chunks and (size <= self.bytes_left() or chunks == 0)

    def bytes_left(self) -> int:
        return self.window.bytes - sum(self.sizes) + self.booked[1]

    def accept(self, payload: Any, extra: Any, size: int) -> None:
        self.accepted.append((payload, extra))
        self.sizes.append(size)
        ahead = self.sizes[self.taken :]
        assert len(ahead) <= self.window.chunks
        assert sum(ahead) <= self.window.bytes or len(ahead) == 1, "further ahead of the consumer than the window"


class Conversation:
    """Plays the host, the worker and the carrier between them; checks what each hears against the books."""

    def __init__(self, codec: Codec, piece: int) -> None:
        self.codec = codec
        self.piece = piece
        self.host = HostMultiplexer(codec, piece)
        self.worker = WorkerMultiplexer(codec, piece)
        self.to_worker: collections.deque[bytes] = collections.deque()
        self.to_host: collections.deque[bytes] = collections.deque()
        self.calls: dict[int, Call] = {}
        self.due: dict[str, list[tuple[int, int]]] = {"host": [], "worker": []}  # control frames for the next message: (kind, id or token)
        self.sent_part: set[int] = set()  # calls of which the host has sent a piece
        self.tokens: collections.deque[int] = collections.deque()
        self.messages_left: int | None = None  # the channel ends after so many messages; None: it lasts
        self.count = 0
        self.hellos = 0
        self.stores = fake_store.pair(30)
        self.worker.hello({"pid": 1})

    def share(self) -> None:
        """Attachments lie in memory that both see, where there is room."""
        self.host.share(self.stores[0], lend=True)
        self.worker.share(self.stores[1], lend=True)

    def number(self) -> int:
        """Each number is given out once, so that nothing can pass for something else."""
        self.count += 1
        return self.count

    # ---- what the host does ----

    def start(self, size: int, window: tuple[int, int]) -> None:
        if len(self.calls) < MOST_CALLS:
            call = Call(self.number(), Window(*window), {"data": b"\xff" * size})
            self.calls[call.call_id] = call
            self.host.call(call.call_id, "tool", call.args, {"streaming": True}, call.window)

    def cancel(self, call: Call, at_once: bool) -> None:
        over = call.cancelled or bool(call.ended)
        never_seen = self.host.cancel(call.call_id, "unwanted")
        assert not (over and never_seen), "a call that is over cannot be ended again"
        if over:
            return
        call.cancelled = True
        if never_seen:
            call.ended.append(None)
        if not never_seen or call.call_id in self.sent_part:
            self.due["host"].append((CANCEL, call.call_id))
        if at_once:
            self.host_writes(1)
            self.worker_reads(1000)

    def start_and_cancel(self, window: tuple[int, int], written: int, at_once: bool) -> None:
        """A cancel finds a call half sent."""
        if len(self.calls) < MOST_CALLS:
            self.start(700, window)
            self.host_writes(written)
            self.cancel(list(self.calls.values())[-1], at_once)

    def consume(self, call: Call, most: int) -> None:
        sizes = call.sizes[call.taken : len(call.delivered)][:most]
        call.taken += len(sizes)
        self.host.grant(call.call_id, len(sizes), sum(sizes))
        if sizes and not call.cancelled and not call.ended:
            call.grants.append((len(sizes), sum(sizes)))
            self.due["host"].append((CREDIT, call.call_id))

    def ping(self) -> None:
        token = self.number()
        self.host.ping(token)
        self.tokens.append(token)
        self.due["host"].append((PING, token))

    # ---- what the worker does ----

    def offer(self, call: Call, sizes: list[int | None], extras: list[Any]) -> None:
        for size, extra in zip(sizes, extras * len(sizes), strict=False):
            if not call.running:
                return
            payload = self.payload(call, size, extra)
            item = self.codec.pack(payload)
            cost = self.cost(item, extra)
            expected = call.told or (call.held is None and call.may_send(cost))
            assert self.worker.offer_chunk(call.call_id, item, extra) is expected
            if expected and not call.told:
                call.accept(payload, extra, cost)
            assert self.worker.chunks_sent(call.call_id) == len(call.accepted)

    def payload(self, call: Call, size: int | None, extra: Any) -> Any:
        if size is NOTHING:
            return None
        if size != FITTING:
            return [self.number(), "x" * size]
        texts = ("x" * length for length in range(call.window.bytes))
        return next((text for text in texts if self.cost(self.codec.pack(text), extra) == call.bytes_left()), None)

    def cost(self, item: Encoded, extra: Any) -> int:
        """What a chunk takes of its window: what goes beside it counts too."""
        return len(item) + (0 if extra is None else len(self.codec.encode(extra)))

    def stream_on(self, call: Call, sizes: list[int | None], extras: list[Any]) -> None:
        """For a while the consumer keeps up."""
        for number, size in enumerate(sizes):
            self.offer(call, [size], extras[number % len(extras) :])
            self.deliver_all()
            self.consume(call, 2)

    def report_in_stream(self, call: Call, size: int) -> None:
        if call.running:
            payload = [self.number(), "r" * size]
            item = self.codec.pack(payload)
            self.worker.offer_progress(call.call_id, item)
            if not call.told:
                call.held = (payload, self.cost(item, {"progress": True}))
                self.send_held(call)

    def send_held(self, call: Call) -> None:
        if call.held is not None and call.may_send(call.held[1]):
            (payload, size), call.held = call.held, None
            call.accept(payload, {"progress": True}, size)

    def report_beside(self, call: Call, size: int) -> None:
        if call.running:
            report = self.number()
            self.worker.progress(call.call_id, {"done": report, "text": "p" * size})
            if not call.told:
                call.reports_out.append(report)

    def finish(self, call: Call, size: int, good: bool, report: bool = False) -> None:
        if report:
            self.report_beside(call, 5)
        if call.running:
            value = {"size": "v" * size}
            if good:
                self.worker.result(call.call_id, value, {"m": "m" * size})
                call.end = frames.Result, None if call.told else value
            else:
                self.worker.error(call.call_id, value)
                call.end = frames.Failure, value

    def interrupt(self, call: Call, size: int | None, written: int) -> None:
        """A cancel finds a chunk or a result half sent."""
        if size is None:
            self.finish(call, 900, good=True)
        else:
            self.offer(call, [size], [None])
        self.worker_writes(written)
        self.cancel(call, at_once=True)

    # ---- what the carrier does ----

    def host_writes(self, most: int) -> None:
        for _ in range(most):
            message = self.host.next_message()
            written = self.check_message(message, "host")
            if message is None:
                return
            if not message:
                continue
            for frame in written:
                if frame[0] in (PIECE, ATTACHED, PART):
                    assert not self.calls[frame[1]].cancelled, "a piece of a cancelled call"
                    self.sent_part.add(frame[1])
            self.carry(message, self.to_worker)

    def worker_writes(self, most: int) -> None:
        for _ in range(most):
            message = self.worker.next_message()
            written = self.check_message(message, "worker")
            if message is None:
                assert not self.worker.has_output
                return
            assert not any(frame[0] == CHUNK and self.calls[frame[1]].told for frame in written), "a chunk of a cancelled call"
            self.carry(message, self.to_host)

    def check_message(self, message: bytes | None, side: str) -> list[Any]:
        """All control is in it, no frame is above a piece, and there is not much more than a piece of bulk."""
        if message == b"":  # something was copied; what is due would have left before
            assert not self.due[side]
            return []
        due, self.due[side] = self.due[side], []
        if message is None:
            assert not due
            return []
        written = self.frames_of(message)
        assert written
        control = [(frame[0], frame[2] if frame[0] in (PING, PONG) else frame[1]) for frame in written if frame[0] in CONTROL]
        assert sorted(control) == sorted(due), "control waits behind bulk, or nobody asked for it"
        sizes = {index: len(frame[3] if frame[0] in (PIECE, PART) else self.codec.encode(frame)) for index, frame in enumerate(written)}
        assert all(size <= self.piece for index, size in sizes.items() if written[index][0] in BULK)
        assert sum(size for index, size in sizes.items() if written[index][0] in (PIECE, CHUNK, ATTACHED, PART)) <= 2 * self.piece
        return list(written)

    def frames_of(self, message: bytes) -> list[Any]:
        """What is in a message; of a part: what it belongs to, and its bytes in the place of a piece's."""
        call_id = part_of(message)
        return list(self.codec.decode(message)) if call_id is None else [[PART, call_id, False, message[PART_HEAD:]]]

    def carry(self, message: bytes, queue: collections.deque[bytes]) -> None:
        if self.messages_left is not None:
            self.messages_left -= 1
        if not self.lost:
            queue.append(message)

    @property
    def lost(self) -> bool:
        return self.messages_left is not None and self.messages_left < 0

    def worker_reads(self, most: int) -> None:
        for _ in range(min(most, len(self.to_worker))):
            message = self.to_worker.popleft()
            for event in self.worker.receive(message):
                self.at_worker(event)
            self.due["worker"] += [(PONG, frame[2]) for frame in self.frames_of(message) if frame[0] == PING]

    def at_worker(self, event: Any) -> None:
        assert not isinstance(event, frames.Fault), event.reason
        call = self.calls[event.call_id]
        if isinstance(event, frames.Call):
            assert not call.seen
            assert None not in call.ended, "the host said that the worker would never see it"
            assert event == (call.call_id, "tool", call.args, {"streaming": True, "window": list(call.window)})
            call.seen = True
        elif isinstance(event, frames.Cancel):
            assert call.running
            assert call.cancelled
            assert not call.told
            call.told, call.held = True, None
        else:
            assert isinstance(event, frames.Credit)
            chunks, nbytes = call.grants.popleft()
            call.booked[0] += chunks
            call.booked[1] += nbytes
            self.send_held(call)

    def host_reads(self, most: int) -> None:
        for _ in range(min(most, len(self.to_host))):
            for event in self.host.receive(self.to_host.popleft()):
                self.at_host(event)

    def at_host(self, event: Any) -> None:
        assert not isinstance(event, frames.Fault), event.reason
        if isinstance(event, frames.Hello):
            self.hellos += 1
            return
        if isinstance(event, frames.Pong):
            assert event.token == self.tokens.popleft()
            return
        call = self.calls[event.call_id]
        assert not call.ended, "something came after the end"
        if isinstance(event, frames.Chunks):
            assert not call.cancelled
            assert event.first == len(call.delivered)
            assert event.nbytes == sum(call.sizes[event.first : event.first + len(event.payloads)])
            call.delivered += [(payload, None) for payload in event.payloads[:-1]] + [(event.payloads[-1], event.extra)]
            assert call.delivered == call.accepted[: len(call.delivered)], "lost, doubled or out of order"
        elif isinstance(event, frames.Progress):
            call.reports_in.append(event.payload["done"])
            assert call.reports_in == sorted(set(call.reports_in) & set(call.reports_out)), "an old report after a newer one"
        else:
            kind, value = call.end or (None, None)
            assert type(event) is kind
            assert event[1] == value
            call.ended.append(event)
            if not call.cancelled:
                assert call.delivered == call.accepted, "the end overtook a chunk"
                assert call.reports_in[-1:] == call.reports_out[-1:], "the end overtook the last report"

    def deliver_all(self) -> None:
        while True:
            self.host_writes(1000)
            self.worker_writes(1000)
            if not self.to_worker and not self.to_host:
                return
            self.worker_reads(1000)
            self.host_reads(1000)

    # ---- what holds ----

    def both_sides_know_which_calls_are_open(self) -> None:
        assert set(self.host.open_calls) == {call.call_id for call in self.calls.values() if not call.ended}
        assert set(self.worker.open_calls) == {call.call_id for call in self.calls.values() if call.running}

    def come_to_an_end(self) -> None:
        """Unless the channel was lost: no stream is stuck, and when all is said every call has ended once."""
        if self.lost:
            self.deliver_all()
            return
        self.messages_left = None
        self.deliver_all()
        while any(len(call.delivered) > call.taken for call in self.calls.values()):
            for call in self.calls.values():
                self.consume(call, 100)
            self.deliver_all()
        for call in self.calls.values():
            if call.running:
                assert call.held is None
                assert call.told or call.may_send(10_000), "a stream is stuck though its consumer has taken everything"
                self.offer(call, [10_000], [None])
                self.finish(call, 100, good=True)
        self.deliver_all()
        assert [len(call.ended) for call in self.calls.values()] == [1] * len(self.calls)
        assert self.hellos == 1
        assert not self.tokens
        for inbox in (self.host._inbox, self.worker._inbox):
            assert not inbox._parts, "parts of dropped frames are kept"
            assert not inbox._arrivals, "attachments of dropped frames are kept"
        for call in self.calls.values():
            call.ended.clear()
            call.delivered.clear()
        self.deliver_all()
        assert not [(store.out, store.lent) for store in self.stores if store.out or store.lent], "shared memory is kept"


windows = st.tuples(st.sampled_from([1, 3, 8, 8]), st.sampled_from([20, 60, 150, 150]))
chunk_sizes = st.sampled_from([NOTHING, NOTHING, FITTING, 0, 5, 5, 20, 60, 500])
extras = st.lists(st.sampled_from([None, None, {}, {"metadata": {"k": 1}}]), min_size=1, max_size=3)
some = st.integers(1, 4)
a_call = st.integers(0, MOST_CALLS)

#: Each way the conversation may go on, with its arguments; what is named twice happens twice as often.
STEPS = [
    ("rest", {}),
    ("start", {"size": st.sampled_from([0, 30, 700]), "window": windows}),
    ("cancel", {"call": a_call, "at_once": st.booleans()}),
    ("start_and_cancel", {"window": windows, "written": some, "at_once": st.booleans()}),
    ("interrupt", {"call": a_call, "size": st.sampled_from([500, 500, 20, None]), "written": some}),
    *2 * [("consume", {"call": a_call, "most": some})],
    ("ping", {}),
    *4 * [("offer", {"call": a_call, "sizes": st.lists(chunk_sizes, min_size=1, max_size=6), "extras": extras})],
    ("stream_on", {"call": a_call, "sizes": st.lists(chunk_sizes, min_size=3, max_size=8), "extras": extras}),
    ("report_in_stream", {"call": a_call, "size": st.sampled_from([0, 5, 500])}),
    ("report_beside", {"call": a_call, "size": st.sampled_from([0, 5, 400])}),
    ("finish", {"call": a_call, "size": st.sampled_from([0, 100, 900]), "good": st.booleans(), "report": st.booleans()}),
    *2 * [(name, {"most": some}) for name in ("host_writes", "worker_writes", "host_reads", "worker_reads")],
    ("deliver_all", {}),
]
steps = st.one_of([st.tuples(st.just(name), st.fixed_dictionaries(arguments)) for name, arguments in STEPS])


#: The last with attachments, some of them smaller than the others' frames.
_CODECS = {
    "msgpack": MsgpackCodec(),
    "json": JsonCodec(),
    "attached": ApartCodec(MsgpackCodec(), 25),
    "shared": ApartCodec(JsonCodec(), 25),
}


def play(conversation: Conversation, script: list[tuple[str, dict[str, Any]]]) -> None:
    for name, arguments in script:
        if name == "rest":
            continue
        if "call" in arguments:
            if not conversation.calls:
                continue
            calls = list(conversation.calls.values())
            arguments = {**arguments, "call": calls[arguments["call"] % len(calls)]}  # noqa: PLW2901
        getattr(conversation, name)(**arguments)
        conversation.both_sides_know_which_calls_are_open()


@pytest.mark.slow
@pytest.mark.parametrize("kind", _CODECS)
@settings(max_examples=120, phases=(Phase.explicit, Phase.generate, Phase.shrink))  # explaining a failure takes too long
@given(
    piece=st.sampled_from([16, 64, 300]),
    running=st.lists(windows, min_size=1, max_size=2),
    lost_after=st.sampled_from([None, None, None, None, 4, 9, 20, 40]),
    script=st.lists(steps, min_size=30, max_size=60),
)
def test_any_conversation(kind: str, piece: int, running: list[tuple[int, int]], lost_after: int | None, script: list[Any]):
    """Whatever happens when: order holds, nothing is lost or doubled, no window is exceeded, each call ends once."""
    conversation = Conversation(_CODECS[kind], piece)
    if kind == "shared":
        conversation.share()
    for window in running:
        conversation.start(0, window)
        conversation.deliver_all()
    conversation.messages_left = lost_after
    play(conversation, script)
    conversation.come_to_an_end()
