"""Attachments that are announced, or come, as they cannot be: one fault, which says what is wrong; and an announcement takes no memory."""

from __future__ import annotations

import gc
import pathlib
import re
from collections.abc import Callable
from typing import Any

import pytest

from snakepit_bridge.wire.attachments import PART_MARK
from snakepit_bridge.wire.codecs import Codec, MsgpackCodec
from snakepit_bridge.wire.frames import ATTACHED, CHUNK, PIECE, RESULT, RETURNED, Fault, Result
from wire_samples import every_codec, hear, listener

_TABLE = "attachments are announced by their sizes, or by where they lie"
_NO_FRAME = "what came with attachments of call 1 is no frame of it"
_SOUND = [RESULT, 1, None, {}]


def part(call_id: int, data: bytes) -> bytes:
    return PART_MARK + call_id.to_bytes(8, "big") + data


def announced(codec: Codec, table: list[Any], frame: Any, call_id: int = 1) -> bytes:
    return codec.encode([[ATTACHED, call_id, table, codec.encode(frame)]])


def around(frame: Any) -> Callable[[Codec], list[bytes]]:
    """A frame with one attachment of one byte, which comes."""
    return lambda codec: [announced(codec, [1], frame), part(1, b"x")]


#: Messages by codec, and what is wrong with the last of them.
SPOILED: dict[str, tuple[Callable[[Codec], list[bytes]], str]] = {
    "no table": (lambda codec: [announced(codec, [], _SOUND)], _TABLE),
    "a negative size": (lambda codec: [announced(codec, [-1], _SOUND)], _TABLE),
    "a fraction": (lambda codec: [announced(codec, [1.5], _SOUND)], _TABLE),
    "a bool": (lambda codec: [announced(codec, [True], _SOUND)], _TABLE),
    "too much": (
        lambda codec: [announced(codec, [2**50], _SOUND)],
        r"a frame of 11258999068426\d\d bytes with its attachments was announced",
    ),
    "not agreed on": (lambda codec: [announced(codec, [[1] * 7], _SOUND)], "said to lie in shared memory, which has not been agreed on"),
    "twice": (
        lambda codec: [announced(codec, [5], _SOUND)] * 2,
        "attachments of call 1 were announced before those before them had come",
    ),
    "more than announced": (
        lambda codec: [announced(codec, [5], _SOUND), part(1, b"sixsix")],
        "more came of the attachments of call 1 than was announced",
    ),
    "a part without a call": (lambda _codec: [PART_MARK + b"abc"], "a part of an attachment without the id of its call"),
    "for another call": (around([RESULT, 2, None, {}]), _NO_FRAME),
    "no frame": (around("text"), _NO_FRAME),
    "in each other": (around([ATTACHED, 1, [1], b""]), _NO_FRAME),
    "a piece": (around([PIECE, 1, True, b"x"]), _NO_FRAME),
    "wrong fields": (around([RESULT, 1]), "a frame of kind [0-9]+ has the wrong fields"),
    "out of order": (around([CHUNK, 1, 7, [1], 1, None]), "chunk"),
    "nothing encoded": (lambda codec: [codec.encode([[ATTACHED, 1, [1], b""]]), part(1, b"x")], "not (MessagePack|JSON)"),
    "returned, not lent": (lambda codec: [codec.encode([[RETURNED, 0, [1]]])], "shared memory was returned that had not been lent"),
}


@every_codec
@pytest.mark.parametrize("name", SPOILED)
def test_each_is_named(codec: Codec, name: str) -> None:
    """Nothing before the last message is a fault, and that ends the channel."""
    messages, words = SPOILED[name]
    *before, last = hear("host", codec, messages(codec))
    assert before == []
    assert isinstance(last, Fault)
    assert re.search(words, last.reason), last.reason


@every_codec
def test_parts_of_any_size_make_what_was_announced(codec: Codec) -> None:
    """Small ones and those in pages of their own, some of no bytes; parts of calls that are over are dropped."""
    value = [b"a" * 20_000, b"b" * 3_000_000, bytearray(), bytearray(b"c" * 1_048_576)]
    parcel = codec.pack([RESULT, 1, value, {}])
    heard = listener("host", codec)
    assert heard.receive(announced_as_it_is(codec, parcel)) == []
    found: list[Any] = []
    for buffer in parcel.buffers:  # type: ignore[union-attr]
        for at in range(0, len(buffer), 70_000):
            assert heard.receive(part(99, b"of nobody")) == []
            found += heard.receive(part(1, bytes(buffer[at : at + 70_000])))
    assert [type(event) for event in found] == [Result]
    assert found[0].value == value


def announced_as_it_is(codec: Codec, parcel: Any) -> bytes:
    return codec.encode([[ATTACHED, 1, [len(buffer) for buffer in parcel.buffers], parcel.head]])


@pytest.mark.skipif(not pathlib.Path("/proc/self/statm").exists(), reason="looks at /proc")
def test_an_announced_size_takes_no_memory() -> None:
    """Memory is taken by bytes that came, not by bytes that were promised."""
    codec = MsgpackCodec()
    listeners = [listener("host", codec) for _ in range(8)]
    before = resident()
    for heard in listeners:
        assert heard.receive(announced(codec, [1024**3, 1024**3], _SOUND)) == []
        assert heard.receive(part(1, b"x" * 1000)) == []
    assert resident() - before < 24 * 1024 * 1024  # a huge page each
    del listeners, heard
    gc.collect()
    assert resident() - before < 8 * 1024 * 1024


def resident() -> int:
    """In memory (bytes)."""
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * 4096
