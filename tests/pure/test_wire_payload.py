"""No payload is larger than `max_payload`: its sender refuses it before any of it leaves, and its receiver does not take it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy
import pytest

from snakepit_bridge.wire import frames
from snakepit_bridge.wire.codecs import Codec, JsonCodec, MsgpackCodec
from snakepit_bridge.wire.frames import CALL, HOST_CALL_BASE, RESULT, Fault, Window
from snakepit_bridge.wire.host_side import HostMultiplexer
from snakepit_bridge.wire.payload import BESIDE_BYTES, TooLarge, at_least, too_large
from snakepit_bridge.wire.typed import Pickled
from snakepit_bridge.wire.worker_side import WorkerMultiplexer

LIMIT = 1024 * 1024
WIDE = Window(chunks=1000, bytes=1 << 30)


@pytest.fixture(params=[MsgpackCodec, JsonCodec], ids=["msgpack", "json"])
def codec(request: pytest.FixtureRequest) -> Codec:
    return request.param()


class Pair:
    """A host and a worker, of which one or both know the limit."""

    def __init__(self, codec: Codec, *, host: bool = True, worker: bool = True) -> None:
        self.host = HostMultiplexer(codec)
        self.worker = WorkerMultiplexer(codec)
        if worker:
            self.host.setup({"max_payload": LIMIT})
            self.carry(self.host, self.worker)
        if host:
            self.host.limit(LIMIT)

    def call(self, call_id: int = 1, **args: Any) -> list[Any]:
        self.host.call(call_id, "tool", args, {}, WIDE)
        return self.carry(self.host, self.worker)

    @staticmethod
    def carry(source: Any, target: Any) -> list[Any]:
        events: list[Any] = []
        while (message := source.next_message()) is not None:
            events += target.receive(message)
        return events


def largest(codec: Codec, wrap: Any) -> Iterator[Any]:
    """What `wrap` makes of text, and of bytes that lie beside it: exactly as large as is allowed, and one byte larger."""
    for fill in (lambda count: "x" * count, bytes):
        room = LIMIT - len(codec.pack_value(wrap(fill(LIMIT - 1000)))) + LIMIT - 1000
        fits = wrap(fill(room))
        assert len(codec.pack_value(fits)) == LIMIT
        yield fits, wrap(fill(room + 1))


def test_the_decision(codec: Codec) -> None:
    """Up to the limit nothing is measured again; what goes beside a value has room of its own, and not more."""
    value = "x" * 2000
    size = len(codec.encode_value(value))
    assert too_large("result", b"f" * size, size, codec) is None
    assert too_large("result", b"f" * (size + 100), size, codec, value) is None
    refused = too_large("result", b"f" * (size + 100), size - 1, codec, value)
    assert isinstance(refused, TooLarge)
    assert (refused.what, refused.size, refused.limit, refused.beside) == ("result", size, size - 1, False)
    crowded = too_large("arguments", b"f" * (size + BESIDE_BYTES + 1), size, codec, value)
    assert isinstance(crowded, TooLarge)
    assert (crowded.size, crowded.beside) == (size + BESIDE_BYTES + 1, True)
    assert "the arguments of 'train' have" in crowded.told("of 'train'")
    assert "goes along" in crowded.told("of 'train'")


def test_arguments_at_the_limit_leave_and_larger_ones_do_not(codec: Codec) -> None:
    """A call that is too large is none: nothing of it leaves, and the channel goes on."""
    pair = Pair(codec)
    for number, (fits, larger) in enumerate(largest(codec, lambda value: {"value": value})):
        assert pair.call(2 * number, **fits)[0].args == fits
        with pytest.raises(TooLarge, match=f"the arguments have {LIMIT + 1} bytes, and max_payload is {LIMIT}"):
            pair.host.call(2 * number + 1, "tool", larger, {}, WIDE)
        assert 2 * number + 1 not in pair.host.open_calls
        assert pair.host.next_message() is None


def test_binary_parameters_count(codec: Codec) -> None:
    """What lies in a call's options by the caller's will is part of its arguments."""
    pair = Pair(codec)
    with pytest.raises(TooLarge, match="the arguments have"):
        pair.host.call(1, "tool", {"a": 1}, {"binary": {"data": bytes(LIMIT)}}, WIDE)


def test_a_result_that_is_too_large_leaves_its_call_open(codec: Codec) -> None:
    """At the limit it arrives; above, an error can still end the call."""
    pair = Pair(codec)
    pair.call(7)
    for number, (fits, larger) in enumerate(largest(codec, lambda value: [value])):
        pair.call(number)
        pair.worker.result(number, fits, {"execution_time_ms": 1.0})
        metadata: dict[str, object] = {"execution_time_ms": 1.0}
        if isinstance(fits[0], bytes):
            metadata["types"] = {"bytes": "attachment"}
        assert pair.carry(pair.worker, pair.host) == [frames.Result(number, fits, metadata)]
        with pytest.raises(TooLarge, match=f"the result has {LIMIT + 1} bytes"):
            pair.worker.result(7, larger, {})
        assert 7 in pair.worker.open_calls
    pair.worker.error(7, {"code": "payload_too_large"})
    assert pair.carry(pair.worker, pair.host) == [frames.Failure(7, {"code": "payload_too_large"})]


def test_chunks_and_what_goes_beside_them(codec: Codec) -> None:
    """Of a stream, each chunk by itself; its metadata has room of its own."""
    pair = Pair(codec)
    pair.call(1)
    outflow = pair.worker.outflow(1)
    assert outflow is not None
    for fits, larger in largest(codec, lambda value: {"value": value}):
        assert outflow.offer(pair.worker.packed(fits), {"final": True, "metadata": {"chunks": 1}})
        (chunks,) = pair.carry(pair.worker, pair.host)
        assert chunks.payloads == [fits]
        for offer in (outflow.offer, pair.worker.own):
            with pytest.raises(TooLarge, match=f"the chunk has {LIMIT + 1} bytes"):
                offer(codec.pack_value(larger))
        with pytest.raises(TooLarge, match="with what goes along"):
            outflow.offer(b"1", {"metadata": {"text": "x" * 2 * LIMIT}})
    assert outflow.offer(codec.pack_value(1))
    assert pair.carry(pair.worker, pair.host)[0].payloads == [1]


def test_host_tools_are_bound_too(codec: Codec) -> None:
    """Their arguments by the worker, their results and items by the host."""
    pair = Pair(codec)
    with pytest.raises(TooLarge, match="the arguments have"):
        pair.worker.asks.call(HOST_CALL_BASE, "rate", {"args": ["x" * LIMIT]}, {"parent": 1}, WIDE)
    pair.worker.asks.call(HOST_CALL_BASE, "rate", {"args": ["x"]}, {"parent": 1}, WIDE)
    pair.carry(pair.worker, pair.host)
    with pytest.raises(TooLarge, match="the result has"):
        pair.host.answers.result(HOST_CALL_BASE, "x" * LIMIT, {})
    with pytest.raises(TooLarge, match="the chunk has"):
        pair.host.answers.packed(numpy.zeros(LIMIT))


@pytest.mark.parametrize("value", ["x" * 3 * LIMIT, bytes(3 * LIMIT), ["x" * 5000] * 700], ids=["pieces", "attached", "list"])
def test_the_receiver_holds_who_does_not_look(codec: Codec, value: Any) -> None:
    """A call, or a result, that comes all the same is not the protocol: what comes after is not read."""
    deaf = Pair(codec, host=False)
    events = deaf.call(1, value=value)
    assert [type(event) for event in events] == [Fault]
    assert "max_payload" in events[0].reason
    careless = Pair(codec, worker=False)
    careless.call(1)
    careless.worker.result(1, value, {})
    events = careless.carry(careless.worker, careless.host)
    assert [type(event) for event in events] == [Fault]
    assert "max_payload" in events[0].reason


def test_one_message_may_not_hold_a_frame_that_is_too_large(codec: Codec) -> None:
    """Also if the sender cuts nothing into pieces; a large message of frames that are not is read."""
    pair = Pair(codec)
    for call_id in (1, 2, 3, 4, 5):
        pair.call(call_id)
    small = [[RESULT, call_id, "x" * (LIMIT // 2), {}] for call_id in (1, 2, 3, 4)]
    assert [event.call_id for event in pair.host.receive(codec.encode([*small, *small]))] == [1, 2, 3, 4]
    (fault,) = pair.host.receive(codec.encode([[RESULT, 5, "x" * (3 * LIMIT), {}]]))
    assert isinstance(fault, Fault)
    assert "max_payload" in fault.reason
    (fault,) = pair.worker.receive(codec.encode([[CALL, 9, "tool", {"value": "x" * (3 * LIMIT)}, {"window": [1, 1]}]]))
    assert isinstance(fault, Fault)


def test_the_least_size_of_values_is_one(codec: Codec) -> None:
    """What is known without encoding is never more than what is measured; of other values nothing is known."""
    values: list[Any] = ["äö" * 5000, b"\0" * 20_000, bytearray(30_000), memoryview(bytes(40_000)), numpy.zeros((70, 70)), None]
    values += [[1] * 50, (None,) * 60, dict.fromkeys(range(70), True), set(range(80)), frozenset("abc"), [0.5] * 90, []]
    values += [Pickled(b"\0" * 100, [memoryview(bytes(200))])]
    for value in values:
        assert at_least([value]) <= len(codec.pack_value(value))
    assert at_least(values) == 10_000 + 20_000 + 30_000 + 40_000 + 8 * 70 * 70 + 50 + 60 + 70 + 80 + 3 + 90 + 300
    assert at_least([numpy.array([None] * 9), object()]) == 0
