"""Samples of the wire, and what holds for whatever is heard there: shared by the tests that spoil them."""

from __future__ import annotations

import typing
from typing import Any

import pytest

from snakepit_bridge.wire import frames, msgpack_codec
from snakepit_bridge.wire.codecs import Codec, JsonCodec, MsgpackCodec
from snakepit_bridge.wire.frames import (
    BYE,
    CALL,
    CALLS,
    CANCEL,
    CHUNK,
    CREDIT,
    DRAIN,
    END_SESSION,
    ERROR,
    HELLO,
    HOST_CALL,
    LOOK,
    MORE_EVENTS,
    NO_EVENTS,
    PIECE,
    PING,
    PONG,
    PROGRESS,
    RECALL,
    RESULT,
    STACKS,
    STALLED,
    TELEMETRY,
    Fault,
    Window,
)
from snakepit_bridge.wire.host_side import HostMultiplexer
from snakepit_bridge.wire.worker_side import WorkerMultiplexer


def slower_msgpack() -> MsgpackCodec:
    """The codec as it is where msgspec is missing and the msgpack package is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(msgpack_codec, "msgspec", None)
        return MsgpackCodec()


CODECS = {"msgspec": MsgpackCodec(), "msgpack": slower_msgpack(), "json": JsonCodec()}
every_codec = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
both_sides = pytest.mark.parametrize("side", ["host", "worker"])

EVENTS = {
    "host": typing.get_args(frames.HostEvent),
    "worker": typing.get_args(frames.WorkerEvent),
}
OPTIONS = {"window": [4, 1000]}
ASKED = frames.HOST_CALL_BASE


def listener(side: str, codec: Codec) -> HostMultiplexer | WorkerMultiplexer:
    """One side with calls 1 and 2 open, at a worker also `ASKED` and the next of host tools, each with a window of 4 chunks and 1000 bytes."""
    if side == "host":
        host = HostMultiplexer(codec, 64)
        for call_id in (1, 2):
            host.call(call_id, "tool", {}, {}, Window(4, 1000))
        while host.next_message() is not None:
            pass
        return host
    worker = WorkerMultiplexer(codec, 64)
    worker.receive(codec.encode([[CALL, 1, "tool", {}, OPTIONS], [CALL, 2, "tool", {}, OPTIONS]]))
    for call_id in (ASKED, ASKED + 1):
        worker.asks.call(call_id, "host tool", {}, {}, Window(4, 1000))
    while worker.next_message() is not None:
        pass
    return worker


def hear(side: str, codec: Codec, messages: list[bytes]) -> list[Any]:
    """What a fresh listener makes of the messages, after the checks that hold for any messages."""
    heard = listener(side, codec)
    events: list[Any] = []
    for message in messages:
        events += heard.receive(message)
        answer = heard.next_message()
        assert answer is None or codec.decode(answer)
    assert all(isinstance(event, EVENTS[side]) for event in events)
    faults = [index for index, event in enumerate(events) if isinstance(event, Fault)]
    assert faults in ([], [len(events) - 1])
    if faults:
        assert events[-1].reason
        assert heard.receive(codec.encode([[HELLO, 0, {}], [DRAIN, 0], [999, 0]])) == []
        assert heard.receive(messages[0]) == []
    return events


VALID = {
    "host": [
        [[HELLO, 0, {"pid": 1}]],
        [[CHUNK, 1, 0, ["a", {"b": [1.5, None]}], 12, None], [PONG, 0, 7]],
        [[HOST_CALL, ASKED, "lookup", {"args": [2**70], "kwargs": {}}, OPTIONS], [CREDIT, ASKED, 0, 0]],
        [[CHUNK, 1, 2, [b"\x00\xff"], 4, {"final": True}], [PROGRESS, 2, {"done": 1}], [STALLED, 1, {}], [CANCEL, ASKED, "unwanted"]],
        [
            [RESULT, 1, {"ok": True}, {"chunks": 3}],
            [ERROR, 2, {"message": "no"}],
            [STACKS, 0, 8, "Thread 0x1"],
            [frames.EVENTS, 0, [["a.b", {"n": 1}, {}, 1.5, "cid"]], 0],
            [NO_EVENTS, 0, "why"],
            [BYE, 0, "done"],
        ],
    ],
    "worker": [
        [[CALL, 5, "tool", {"x": [1, 2], "data": b"\x00", "n": 2**70}, OPTIONS]],
        [[CALLS, 0, "tool", [6, 7], [{"x": 1}, {"x": 2}], OPTIONS], [RECALL, 0, [7]]],
        [[CHUNK, ASKED, 0, ["a", {1: None}], 12, {"progress": True}]],
        [[CREDIT, 5, 0, 0], [PING, 0, 7], [LOOK, 0, 8]],
        [[RESULT, ASKED, {"ok": True}, {}], [ERROR, ASKED + 1, {"message": "no"}]],
        [[CANCEL, 1, "unwanted"], [CANCEL, 5, "unwanted"]],
        [[END_SESSION, 0, "s", "ended"]],
        [[TELEMETRY, 0, {"enabled": True}], [MORE_EVENTS, 0]],
        [[DRAIN, 0]],
    ],
}


def in_pieces(codec: Codec, side: str, step: int) -> list[Any]:
    """The valid messages with every frame of a call cut in pieces."""
    cut: list[Any] = []
    for message in VALID[side]:
        written: list[Any] = []
        for frame in message:
            whole = codec.encode(frame)
            places = range(0, len(whole), step)
            written += [[PIECE, frame[1], place + step >= len(whole), whole[place : place + step]] for place in places]
        cut.append(written)
    return cut
