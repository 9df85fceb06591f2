"""Two multiplexers, two queues of messages, and everything that can happen between them, in any order.

A model beside them keeps books of its own: what was offered, delivered, granted, cancelled. Pieces are tiny, so that
calls, chunks and results are cut all the time and a cancel or a loss finds them half sent.
"""

from __future__ import annotations

import collections
import dataclasses
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from snakepit_bridge.wire import frames
from snakepit_bridge.wire.codecs import Codec, JsonCodec, MsgpackCodec
from snakepit_bridge.wire.frames import CALL, CANCEL, CHUNK, CREDIT, ERROR, PIECE, PING, PONG, RESULT, Window
from snakepit_bridge.wire.host_side import HostMultiplexer
from snakepit_bridge.wire.worker_side import WorkerMultiplexer

MOST_CALLS = 6
FITTING = -1
BULK = (CALL, CHUNK, RESULT, ERROR, PIECE)
CONTROL = (CANCEL, CREDIT, PING, PONG)


@dataclasses.dataclass
class Call:
    """The books of one call; the first half is known at the host, the second in the worker."""

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

    def may_send(self, size: int) -> bool:
        """Is there credit in the worker? One chunk too large for the window may go alone."""
        chunks, nbytes = len(self.sizes) - self.booked[0], sum(self.sizes) - self.booked[1]
        return chunks < self.window.chunks and (nbytes + size <= self.window.bytes or chunks == 0)

    def accept(self, payload: Any, extra: Any, size: int) -> None:
        self.accepted.append((payload, extra))
        self.sizes.append(size)
        ahead = self.sizes[self.taken :]
        assert len(ahead) <= self.window.chunks
        assert sum(ahead) <= self.window.bytes or len(ahead) == 1, "further ahead of the consumer than the window"


class Conversation(RuleBasedStateMachine):
    codec: ClassVar[Codec]

    @initialize(
        piece=st.sampled_from([16, 64, 300]),
        lost_after=st.none() | st.none() | st.integers(1, 30),
        windows=st.lists(st.tuples(st.integers(1, 4), st.integers(8, 120)), max_size=2),
    )
    def meet(self, piece: int, lost_after: int | None, windows: list[tuple[int, int]]) -> None:
        self.piece = piece
        self.host = HostMultiplexer(self.codec, piece)
        self.worker = WorkerMultiplexer(self.codec, piece)
        self.to_worker: collections.deque[bytes] = collections.deque()
        self.to_host: collections.deque[bytes] = collections.deque()
        self.calls: dict[int, Call] = {}
        self.due: dict[str, list[tuple[int, int]]] = {"host": [], "worker": []}  # (kind, id or token) that the next message must hold
        self.sent_part: set[int] = set()  # calls of which the host has sent a piece
        self.tokens: collections.deque[int] = collections.deque()
        self.count = 0
        self.messages_left: int | None = None
        self.worker.hello({"pid": 1})
        self.hellos = 0
        for window in windows:  # some calls run already
            self.start(0, *window)
            self.deliver_all()
        self.messages_left = lost_after  # the channel ends after so many messages; None: it lasts

    def pick(self, number: int, where: str = "host") -> Call:
        calls = [call for call in self.calls.values() if where == "host" or (call.seen and call.end is None)]
        return calls[number % len(calls)]

    def number(self) -> int:
        self.count += 1
        return self.count

    any_call = precondition(lambda self: self.calls)
    any_running = precondition(lambda self: self.worker.open_calls)

    # ---- what the host does ----

    @precondition(lambda self: len(self.calls) < MOST_CALLS)
    @rule(size=st.sampled_from([0, 0, 30, 700]), chunks=st.integers(1, 4), nbytes=st.integers(8, 120))
    def start(self, size: int, chunks: int, nbytes: int) -> None:
        call = Call(self.number(), Window(chunks, nbytes), {"data": b"\xff" * size})
        self.calls[call.call_id] = call
        self.host.call(call.call_id, "tool", call.args, {"streaming": True}, call.window)

    @any_call
    @rule(number=st.integers(0, MOST_CALLS), at_once=st.booleans())
    def cancel(self, number: int, at_once: bool) -> None:
        self.cancel_one(self.pick(number))
        if at_once:
            self.host_writes(1)
            self.worker_reads(1000)

    def cancel_one(self, call: Call) -> None:
        before = call.cancelled or bool(call.ended)
        never_seen = self.host.cancel(call.call_id, "unwanted")
        assert not (before and never_seen), "a call that is over cannot be ended again"
        if before:
            return
        call.cancelled = True
        if never_seen:
            call.ended.append(None)
        if not never_seen or call.call_id in self.sent_part:
            self.due["host"].append((CANCEL, call.call_id))

    @any_call
    @rule(number=st.integers(0, MOST_CALLS), most=st.integers(1, 4))
    def consume(self, number: int, most: int) -> None:
        call = self.pick(number)
        sizes = call.sizes[call.taken : len(call.delivered)][:most]
        call.taken += len(sizes)
        self.host.grant(call.call_id, len(sizes), sum(sizes))
        if sizes and not call.cancelled and not call.ended:
            call.grants.append((len(sizes), sum(sizes)))
            self.due["host"].append((CREDIT, call.call_id))

    @rule()
    def ping(self) -> None:
        token = self.number()
        self.host.ping(token)
        self.tokens.append(token)
        self.due["host"].append((PING, token))

    # ---- what the worker does ----

    @any_running
    @rule(
        number=st.integers(0, MOST_CALLS),
        size=st.sampled_from([None, FITTING, 0, 0, 5, 20, 60, 500]),
        extra=st.none() | st.sampled_from([{}, {"metadata": {"k": 1}}]),
        times=st.integers(1, 4),
    )
    def offer(self, number: int, size: int | None, extra: Any, times: int) -> None:
        call = self.pick(number, "worker")
        for _ in range(times):
            payload = None if size is None else self.fitting(call, extra) if size == FITTING else [self.number(), "x" * size]
            item = self.codec.encode(payload)
            cost = self.cost(item, extra)
            expected = call.told or (call.held is None and call.may_send(cost))
            assert self.worker.offer_chunk(call.call_id, item, extra) is expected
            if expected and not call.told:
                call.accept(payload, extra, cost)
        assert self.worker.chunks_sent(call.call_id) == len(call.accepted)

    def fitting(self, call: Call, extra: Any) -> str:
        """A payload that uses up exactly what is left of the window, if there is one."""
        left = call.window.bytes - sum(call.sizes) + call.booked[1]
        texts = ("x" * size for size in range(call.window.bytes))
        return next((text for text in texts if self.cost(self.codec.encode(text), extra) == left), "")

    def cost(self, item: bytes, extra: Any) -> int:
        """What a chunk takes of its window: what goes beside it counts too."""
        return len(item) + (0 if extra is None else len(self.codec.encode(extra)))

    @any_running
    @rule(number=st.integers(0, MOST_CALLS), size=st.sampled_from([0, 5, 500]))
    def report_in_stream(self, number: int, size: int) -> None:
        call = self.pick(number, "worker")
        payload = [self.number(), "r" * size]
        item = self.codec.encode(payload)
        self.worker.offer_progress(call.call_id, item)
        if not call.told:
            call.held = (payload, self.cost(item, {"progress": True}))
            self.send_held(call)

    def send_held(self, call: Call) -> None:
        if call.held is not None and call.may_send(call.held[1]):
            (payload, size), call.held = call.held, None
            call.accept(payload, {"progress": True}, size)

    @any_running
    @rule(number=st.integers(0, MOST_CALLS), times=st.integers(1, 3), size=st.sampled_from([0, 400]))
    def report_beside(self, number: int, times: int, size: int) -> None:
        call = self.pick(number, "worker")
        for _ in range(times):
            report = self.number()
            self.worker.progress(call.call_id, {"done": report, "text": "p" * size})
            if not call.told:
                call.reports_out.append(report)

    @any_running
    @rule(number=st.integers(0, MOST_CALLS), size=st.sampled_from([0, 0, 100, 900]), good=st.booleans())
    def finish(self, number: int, size: int, good: bool) -> None:
        call = self.pick(number, "worker")
        value = {"size": "v" * size}
        if good:
            self.worker.result(call.call_id, value, {"m": "m" * size})
            call.end = frames.Result, None if call.told else value
        else:
            self.worker.error(call.call_id, value)
            call.end = frames.Failure, value

    # ---- what the carrier does ----

    @rule(most=st.integers(1, 6))
    def host_writes(self, most: int) -> None:
        for _ in range(most):
            message = self.host.next_message()
            self.check_message(message, "host")
            if message is None:
                break
            for frame in self.codec.decode(message):
                if frame[0] == PIECE:
                    assert not self.calls[frame[1]].cancelled, "a piece of a cancelled call"
                    self.sent_part.add(frame[1])
            self.carry(message, self.to_worker)

    @rule(most=st.integers(1, 6))
    def worker_writes(self, most: int) -> None:
        for _ in range(most):
            message = self.worker.next_message()
            self.check_message(message, "worker")
            if message is None:
                assert not self.worker.has_output
                break
            for frame in self.codec.decode(message):
                assert frame[0] != CHUNK or not self.calls[frame[1]].told, "a chunk of a cancelled call"
            self.carry(message, self.to_host)

    def carry(self, message: bytes, queue: collections.deque[bytes]) -> None:
        if self.messages_left is not None:
            self.messages_left -= 1
        if self.messages_left is None or self.messages_left >= 0:
            queue.append(message)

    def check_message(self, message: bytes | None, side: str) -> None:
        """All control is in it, no frame is above a piece, and there is not much more than a piece of bulk."""
        if message is None:
            assert not self.due[side]
            return
        written = self.codec.decode(message)
        assert written
        assert isinstance(written, list)
        control = [(frame[0], frame[2] if frame[0] in (PING, PONG) else frame[1]) for frame in written if frame[0] in CONTROL]
        assert sorted(control) == sorted(self.due[side]), "control waits behind bulk, or is not called for"
        self.due[side].clear()
        sizes = [len(frame[3]) if frame[0] == PIECE else len(self.codec.encode(frame)) for frame in written if frame[0] in BULK]
        assert max(sizes, default=0) <= self.piece
        bulk = sum(size for size, frame in zip(sizes, (f for f in written if f[0] in BULK), strict=True) if frame[0] in (PIECE, CHUNK))
        assert bulk <= 2 * self.piece

    @precondition(lambda self: self.to_worker)
    @rule(most=st.integers(1, 6))
    def worker_reads(self, most: int) -> None:
        for _ in range(min(most, len(self.to_worker))):
            message = self.to_worker.popleft()
            for event in self.worker.receive(message):
                self.at_worker(event)
            self.due["worker"] += [(PONG, frame[2]) for frame in self.codec.decode(message) if frame[0] == PING]

    def at_worker(self, event: Any) -> None:
        call = self.calls[event.call_id]
        if isinstance(event, frames.Call):
            assert not call.seen
            assert None not in call.ended, "the host said that the worker would never see it"
            assert event == (call.call_id, "tool", call.args, {"streaming": True, "window": list(call.window)})
            call.seen = True
        elif isinstance(event, frames.Cancel):
            assert call.seen
            assert call.cancelled
            assert not call.told
            call.told, call.held = True, None
        else:
            assert isinstance(event, frames.Credit)
            chunks, nbytes = call.grants.popleft()
            call.booked[0] += chunks
            call.booked[1] += nbytes
            self.send_held(call)

    @precondition(lambda self: self.to_host)
    @rule(most=st.integers(1, 6))
    def host_reads(self, most: int) -> None:
        for _ in range(min(most, len(self.to_host))):
            for event in self.host.receive(self.to_host.popleft()):
                self.at_host(event)

    def at_host(self, event: Any) -> None:
        if isinstance(event, frames.Hello):
            self.hellos += 1
            return
        if isinstance(event, frames.Pong):
            assert event.token == self.tokens.popleft()
            return
        assert not isinstance(event, frames.Fault), event.reason
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

    # ---- what usually happens ----

    @rule()
    def everything_arrives(self) -> None:
        self.deliver_all()

    @any_running
    @rule(number=st.integers(0, MOST_CALLS), sizes=st.lists(st.sampled_from([None, FITTING, 5, 20, 200]), min_size=3, max_size=12))
    def stream_on(self, number: int, sizes: list[int | None]) -> None:
        """A consumer that keeps up, for a while."""
        call = self.pick(number, "worker")
        at = [each.call_id for each in self.calls.values() if each.seen and each.end is None].index(call.call_id)
        for size in sizes:
            self.offer(at, size, None, 1)
            self.deliver_all()
            self.consume(list(self.calls).index(call.call_id), 2)

    # ---- what holds at all times ----

    @invariant()
    def both_sides_know_which_calls_are_open(self) -> None:
        assert set(self.host.open_calls) == {call.call_id for call in self.calls.values() if not call.ended}
        assert set(self.worker.open_calls) == {call.call_id for call in self.calls.values() if call.seen and call.end is None}

    def teardown(self) -> None:
        """Unless the channel was lost: whoever waits gets on, and when all is said every call has ended once."""
        if self.messages_left is not None and self.messages_left < 0:
            self.deliver_all()
            return
        self.messages_left = None
        self.deliver_all()
        while any(len(call.delivered) > call.taken for call in self.calls.values()):
            for number in range(len(self.calls)):
                self.consume(number, 100)
            self.deliver_all()
        for number in range(len(self.worker.open_calls)):
            call = self.pick(number, "worker")
            assert call.held is None
            assert call.told or call.may_send(10_000), "a stream is stuck though its consumer has taken everything"
            self.offer(number, 10_000, None, 1)
        while self.worker.open_calls:
            self.finish(0, 100, True)
        self.deliver_all()
        assert [len(call.ended) for call in self.calls.values()] == [1] * len(self.calls)
        assert self.hellos == 1
        assert not self.tokens
        assert not self.host._inbox._parts
        assert not self.worker._inbox._parts

    def deliver_all(self) -> None:
        while True:
            self.host_writes(1000)
            self.worker_writes(1000)
            if not self.to_worker and not self.to_host:
                return
            if self.to_worker:
                self.worker_reads(1000)
            if self.to_host:
                self.host_reads(1000)


class OverMsgpack(Conversation):
    codec = MsgpackCodec()


class OverJson(Conversation):
    codec = JsonCodec()


#: A failure is made small, within the time a test has; explaining it as well would take longer than that.
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)


@pytest.mark.slow
class TestOverMsgpack(OverMsgpack.TestCase):
    settings = settings(max_examples=150, stateful_step_count=40, deadline=None, phases=PHASES)


@pytest.mark.slow
class TestOverJson(OverJson.TestCase):
    settings = settings(max_examples=80, stateful_step_count=40, deadline=None, phases=PHASES)
