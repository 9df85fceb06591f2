"""Length-prefix framing: the same messages however the bytes are split, and a fault for what cannot be a message."""

from __future__ import annotations

import itertools
import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit_bridge.wire.frames import Fault
from snakepit_bridge.wire.framing import MAX_MESSAGE_BYTES, Deframer, frame_message

LIMIT = 100
messages = st.lists(st.binary(max_size=LIMIT) | st.sampled_from([b"", b"\x00" * LIMIT]), max_size=8)


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    """The stream in parts, also empty ones."""
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[a:b] for a, b in itertools.pairwise(places)]


def feed(deframer: Deframer, parts: list[bytes]) -> list[bytes | Fault]:
    return [found for part in parts for found in deframer.feed(part)]


@settings(max_examples=200)
@given(sent=messages, cuts=st.lists(st.integers(0, 1000), max_size=30))
def test_any_split_gives_the_same_messages(sent: list[bytes], cuts: list[int]):
    """Where the carrier cuts the stream makes no difference, and a whole stream ends without a fault."""
    deframer = Deframer(limit=LIMIT)
    assert feed(deframer, split(b"".join(map(frame_message, sent)), cuts)) == sent
    assert deframer.end() == []


def test_one_byte_at_a_time():
    """A message comes out with its last byte, not before and not after."""
    deframer = Deframer(limit=LIMIT)
    stream = frame_message(b"ab") + frame_message(b"") + frame_message(b"c")
    assert [deframer.feed(bytes([byte])) for byte in stream] == [[], [], [], [], [], [b"ab"], [], [], [], [b""], [], [], [], [], [b"c"]]


@given(
    sent=messages,
    last=st.binary(min_size=1, max_size=LIMIT),
    missing=st.integers(1, LIMIT + 4),
    cuts=st.lists(st.integers(0, 1000), max_size=5),
)
def test_an_end_inside_a_message_is_a_fault(sent: list[bytes], last: bytes, missing: int, cuts: list[int]):
    """What was whole is delivered; the rest is a fault that says how much had come, once."""
    stream = frame_message(last)[:-missing]
    deframer = Deframer(limit=LIMIT)
    assert feed(deframer, split(b"".join(map(frame_message, sent)) + stream, cuts)) == sent
    ended = deframer.end()
    assert [type(found) for found in ended] == ([Fault] if stream else [])
    if stream:
        assert f"{len(stream)} bytes of it had come" in ended[0].reason
        assert deframer.feed(frame_message(b"more")) == []
    assert deframer.end() == []


@given(
    sent=messages,
    claim=st.integers(LIMIT + 1, 2**32 - 1),
    junk=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 1000), max_size=10),
)
def test_an_impossible_length_is_the_last_thing_read(sent: list[bytes], claim: int, junk: bytes, cuts: list[int]):
    """Messages before it are delivered, one fault names both numbers, and nothing comes after it."""
    stream = b"".join(map(frame_message, sent)) + struct.pack(">I", claim) + junk
    deframer = Deframer(limit=LIMIT)
    *before, fault = feed(deframer, split(stream, cuts))
    assert before == sent
    assert isinstance(fault, Fault)
    assert f"{claim} bytes was announced; at most {LIMIT}" in fault.reason
    assert deframer.feed(frame_message(b"more")) == []
    assert deframer.end() == []


@pytest.mark.parametrize("limit", [0, 1, LIMIT, MAX_MESSAGE_BYTES])
def test_the_limit_itself_is_allowed(limit: int):
    """A message exactly as long as the limit passes, one byte more does not."""
    deframer = Deframer(limit=limit)
    assert deframer.feed(struct.pack(">I", limit)) == ([] if limit else [b""])
    assert len(deframer.feed(b"x" * limit)) == (1 if limit else 0)
    assert [type(found) for found in deframer.feed(struct.pack(">I", limit + 1))] == [Fault]


@given(parts=st.lists(st.binary(max_size=50), max_size=20))
def test_arbitrary_bytes_give_messages_or_one_fault(parts: list[bytes]):
    """Nothing is raised, and a fault is the last thing that comes."""
    deframer = Deframer(limit=LIMIT)
    found = [*feed(deframer, parts), *deframer.end()]
    assert all(isinstance(each, bytes) and len(each) <= LIMIT for each in found[:-1])
    assert all(isinstance(each, (bytes, Fault)) for each in found[-1:])


def test_an_announced_length_allocates_nothing():
    """Memory is taken for bytes that came, not for bytes that were promised."""
    deframers = [Deframer() for _ in range(100)]
    tracemalloc.start()
    try:
        for deframer in deframers:
            assert deframer.feed(struct.pack(">I", MAX_MESSAGE_BYTES) + b"x") == []
        assert tracemalloc.get_traced_memory()[1] < 1024 * 1024
    finally:
        tracemalloc.stop()


def test_what_is_read_may_be_read_over():
    """A reader may hand over a view of one buffer again and again: messages and what is held are copies."""
    stream, buffer = b"".join(frame_message(bytes([count]) * count) for count in range(40)), bytearray(7)
    deframer, found = Deframer(limit=LIMIT), []
    for place in range(0, len(stream), len(buffer)):
        part = stream[place : place + len(buffer)]
        buffer[: len(part)] = part
        found += deframer.feed(memoryview(buffer)[: len(part)])
        buffer[:] = b"?" * len(buffer)
    assert found == [bytes([count]) * count for count in range(40)]
    assert {type(message) for message in found} == {bytes}
