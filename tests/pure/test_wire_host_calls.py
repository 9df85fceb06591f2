"""Calls of host tools on the wire: asked by the worker, answered by the host, over the same channel as the host's own calls."""

from __future__ import annotations

import random
from typing import Any

import pytest

from snakepit_bridge.wire import frames
from snakepit_bridge.wire.codecs import Codec, JsonCodec, MsgpackCodec
from snakepit_bridge.wire.frames import HOST_CALL_BASE, Window
from snakepit_bridge.wire.host_side import MAX_HOST_CALLS, HostMultiplexer
from snakepit_bridge.wire.worker_side import WorkerMultiplexer

BASE = HOST_CALL_BASE


class Channel:
    """Both ends, and messages that go over one by one."""

    def __init__(self, codec: Codec, piece_bytes: int | None = None) -> None:
        self.host = HostMultiplexer(codec, piece_bytes)
        self.worker = WorkerMultiplexer(codec, piece_bytes)

    def to_host(self) -> list[Any]:
        """The events of all that waits at the worker."""
        return self._carry(self.worker, self.host)

    def to_worker(self) -> list[Any]:
        """The events of all that waits at the host."""
        return self._carry(self.host, self.worker)

    @staticmethod
    def _carry(sender: Any, receiver: Any) -> list[Any]:
        events = []
        while (message := sender.next_message()) is not None:
            events += receiver.receive(message)
        return events


@pytest.fixture(params=[MsgpackCodec, JsonCodec])
def channel(request: pytest.FixtureRequest) -> Channel:
    """Small pieces, so that large values are cut."""
    return Channel(request.param(), 4096)


def _ask(channel: Channel, number: int = BASE, args: Any = None, window: Window | None = None) -> frames.HostCall:
    channel.worker.asks.call(number, "lookup", args or {"args": [1], "kwargs": {}}, {"parent": 7}, window or Window())
    (event,) = channel.to_host()
    assert isinstance(event, frames.HostCall)
    return event


def test_a_call_and_its_result(channel: Channel) -> None:
    """The host gets name, arguments and options; the worker the value and metadata."""
    event = _ask(channel)
    assert (event.call_id, event.name, event.args, event.options["parent"]) == (BASE, "lookup", {"args": [1], "kwargs": {}}, 7)
    channel.host.answers.result(BASE, {"a": b"\x00"}, {"streamed": False})
    assert channel.to_worker() == [frames.Result(BASE, {"a": b"\x00"}, {"streamed": False})]
    assert channel.host.answers.open_calls == []
    assert channel.worker.asks.calls == {}


def test_an_error(channel: Channel) -> None:
    """It ends the call at both ends."""
    _ask(channel)
    channel.host.answers.error(BASE, {"code": "host_tool_error", "message": "no"})
    assert channel.to_worker() == [frames.Failure(BASE, {"code": "host_tool_error", "message": "no"})]
    assert channel.host.answers.open_calls == []


def test_numbers_of_both_sides_do_not_meet(channel: Channel) -> None:
    """Call 1 of the host and call BASE + 1 of the worker are open at once, and answered apart."""
    channel.host.call(1, "train", {}, {}, Window())
    channel.to_worker()
    _ask(channel, BASE + 1)
    channel.host.answers.result(BASE + 1, "host", {})
    channel.worker.result(1, "worker", {})
    assert channel.to_worker() == [frames.Result(BASE + 1, "host", {})]
    assert channel.to_host() == [frames.Result(1, "worker", {})]


def test_large_values_go_in_pieces_both_ways(channel: Channel) -> None:
    """Arguments and results far beyond a piece arrive whole, also when both directions and several calls are cut at once."""
    blobs = {BASE + n: bytes([n]) * 50_000 for n in range(3)}
    for number, blob in blobs.items():
        channel.worker.asks.call(number, "store", {"args": [blob], "kwargs": {}}, {"parent": 1}, Window())
    events = channel.to_host()
    assert {event.call_id: event.args["args"][0] for event in events} == blobs
    for number, blob in blobs.items():
        channel.host.answers.result(number, blob, {})
    assert {event.call_id: event.value for event in channel.to_worker()} == blobs


def test_a_stream_keeps_its_window(channel: Channel) -> None:
    """The host's items stop at the window and go on as the worker grants; order is kept and nothing is lost."""
    _ask(channel, window=Window(4, 10_000))
    outflow = channel.host.answers.outflow(BASE)
    assert outflow is not None
    encode, sent, got = channel.host.answers.codec.encode, 0, []
    while len(got) < 50:
        while sent < 50 and outflow.offer(encode(sent)):
            sent += 1
        assert sent - len(got) <= 4
        for event in channel.to_worker():
            got += event.payloads
            channel.worker.asks.grant(BASE, len(event.payloads), event.nbytes)
        assert all(isinstance(event, frames.Credit) for event in channel.to_host())
    assert got == list(range(50))


def test_a_stream_beyond_its_window_is_a_fault(channel: Channel) -> None:
    """The worker does not take more than it asked for."""
    _ask(channel, window=Window(2, 10_000))
    codec = channel.worker.codec
    channel.worker.asks.calls[BASE].window = Window(1, 10_000)
    outflow = channel.host.answers.outflow(BASE)
    assert outflow is not None
    outflow.offer(codec.encode(1))
    outflow.offer(codec.encode(2))
    assert isinstance(channel.to_worker()[-1], frames.Fault)


def test_giving_up(channel: Channel) -> None:
    """The host hears of it once; what it answers then reaches nobody, and both ends forget the call."""
    _ask(channel)
    assert channel.worker.asks.cancel(BASE, "left") is False
    assert channel.worker.asks.cancel(BASE, "left") is False
    assert channel.to_host() == [frames.Cancel(BASE, "left")]
    channel.host.answers.error(BASE, {"code": "cancelled"})
    channel.to_worker()
    assert channel.worker.asks.calls == {}
    assert channel.host.answers.open_calls == []


def test_giving_up_what_never_left(channel: Channel) -> None:
    """A large call that waits is dropped here and now, and the parts that had left are forgotten there."""
    channel.worker.asks.call(BASE, "store", {"args": [b"x" * 50_000], "kwargs": {}}, {"parent": 1}, Window())
    message = channel.worker.next_message()
    assert message is not None
    assert channel.host.receive(message) == []
    assert channel.worker.asks.cancel(BASE, "left") is True
    assert channel.to_host() == []
    assert channel.host.answers.open_calls == []
    _ask(channel, BASE + 1)
    channel.host.answers.result(BASE + 1, 1, {})
    assert channel.to_worker() == [frames.Result(BASE + 1, 1, {})]


def test_a_number_of_the_hosts_own_is_a_fault(channel: Channel) -> None:
    """A worker cannot ask under a number that the host gives out."""
    channel.worker.asks.call(5, "lookup", {}, {}, Window())
    (event,) = channel.to_host()
    assert isinstance(event, frames.Fault)
    assert "a number of the host's own" in event.reason


def test_a_number_twice_is_a_fault(channel: Channel) -> None:
    """A call that is open cannot be opened again."""
    _ask(channel)
    channel.worker.asks.call(BASE, "lookup", {}, {}, Window())
    assert isinstance(channel.to_host()[-1], frames.Fault)


def test_too_many_are_refused(channel: Channel) -> None:
    """The host opens a bounded number per worker; further ones are answered with an error, and later ones work again."""
    for number in range(MAX_HOST_CALLS):
        channel.worker.asks.call(BASE + number, "lookup", {}, {}, Window())
    assert len(channel.to_host()) == MAX_HOST_CALLS
    channel.worker.asks.call(BASE + MAX_HOST_CALLS, "lookup", {}, {}, Window())
    assert channel.to_host() == []
    (refused,) = channel.to_worker()
    assert (refused.call_id, refused.info["code"]) == (BASE + MAX_HOST_CALLS, "too_many_host_calls")
    channel.host.answers.result(BASE, None, {})
    _ask(channel, BASE + MAX_HOST_CALLS + 1)


def test_pieces_of_unknown_calls_are_bounded(channel: Channel) -> None:
    """A broken worker that begins frames and never ends them cannot fill the host's memory with them."""
    codec = channel.worker.codec
    for number in range(MAX_HOST_CALLS + 100):
        channel.host.receive(codec.array([codec.encode((frames.PIECE, BASE + number, False, b"x"))]))
    assert channel.host._inbox.held == MAX_HOST_CALLS


def test_the_end_of_a_session(channel: Channel) -> None:
    """It reaches the worker with its reason."""
    channel.host.end_session("user-1", "expired")
    assert channel.to_worker() == [frames.EndSession("user-1", "expired")]


class _Dialogue:
    """Both sides ask and answer at random, and the books of it."""

    def __init__(self, seed: int, codec: Codec) -> None:
        self.dice = random.Random(seed)
        self.channel = Channel(codec, 512)
        self.sides: Any = ((self.channel.host, self.channel.worker, 1), (self.channel.worker.asks, self.channel.host.answers, BASE))
        self.asked: dict[int, str] = {}
        self.ended: dict[int, Any] = {}
        self.given_up: set[int] = set()

    def step(self, number: int) -> None:
        asker, answerer, base = self.dice.choice(self.sides)
        action = self.dice.randrange(4)
        if action == 0:
            self.asked[base + number] = "x" * self.dice.choice((1, 5, 3000))
            asker.call(base + number, "f", {"v": self.asked[base + number]}, {}, Window())
        elif action == 1 and answerer.open_calls:
            self.answer(answerer, self.dice.choice(answerer.open_calls))
        elif action == 2 and asker.calls and self.dice.random() < 0.2:
            self.given_up.add(self.dice.choice(list(asker.calls)))
            asker.cancel(max(self.given_up & asker.calls.keys()), "random")
        else:
            self.deliver(self.channel.to_host() if self.dice.random() < 0.5 else self.channel.to_worker())

    def answer(self, answerer: Any, number: int) -> None:
        answerer.result(number, self.asked[number], {})

    def deliver(self, events: list[Any]) -> None:
        for event in events:
            assert not isinstance(event, frames.Fault), event
            if isinstance(event, frames.Result):
                assert event.call_id not in self.ended
                self.ended[event.call_id] = event.value

    def finish(self) -> None:
        for _ in range(4):
            for _asker, answerer, _base in self.sides:
                for number in answerer.open_calls:
                    self.answer(answerer, number)
            self.deliver(self.channel.to_host())
            self.deliver(self.channel.to_worker())


@pytest.mark.parametrize("codec", [MsgpackCodec, JsonCodec])
@pytest.mark.parametrize("seed", range(5))
def test_both_sides_ask_at_random(codec: Any, seed: int) -> None:
    """Calls of both sides, results, cancels and deliveries in a random order: each call ends once, with a value of its own."""
    dialogue = _Dialogue(seed, codec())
    for number in range(1500):
        dialogue.step(number)
    dialogue.finish()
    kept = dialogue.asked.keys() - dialogue.given_up
    assert {number: dialogue.ended[number] for number in kept} == {number: dialogue.asked[number] for number in kept}
    for asker, answerer, _base in dialogue.sides:
        assert not asker.calls
        assert not answerer.open_calls
