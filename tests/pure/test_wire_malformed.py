"""Whatever bytes arrive, `receive` answers with events, at most one fault as the last of them, and never with an exception."""

from __future__ import annotations

import sys
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit_bridge.wire import frames
from snakepit_bridge.wire.codecs import Codec, Malformed
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
    RESULT,
    STACKS,
    STALLED,
    TELEMETRY,
    Fault,
    Unknown,
)
from snakepit_bridge.wire.inbox import Inbox
from wire_samples import ASKED, CODECS, OPTIONS, VALID, both_sides, every_codec, hear, in_pieces, listener

KINDS = (
    CALL,
    CALLS,
    CANCEL,
    CREDIT,
    PING,
    DRAIN,
    END_SESSION,
    HELLO,
    CHUNK,
    RESULT,
    ERROR,
    PROGRESS,
    HOST_CALL,
    PONG,
    BYE,
    STALLED,
    STACKS,
    LOOK,
    PIECE,
    TELEMETRY,
    MORE_EVENTS,
    frames.EVENTS,
    NO_EVENTS,
)


@every_codec
@both_sides
@pytest.mark.parametrize("step", [None, 1, 7, 10_000])
def test_valid_messages_give_no_fault(codec: Codec, side: str, step: int | None):
    """The samples that are spoiled below are sound: each frame of theirs gives its event, whole or in pieces."""
    messages = VALID[side] if step is None or side == "host" else in_pieces(codec, side, step)
    events = hear(side, codec, [codec.encode(message) for message in messages])
    assert [type(event).__name__ for event in events] == {
        "host": [
            "Hello",
            "Chunks",
            "Pong",
            "HostCall",
            "Credit",
            "Chunks",
            "Progress",
            "Stalled",
            "Cancel",
            "Result",
            "Failure",
            "Stacks",
            "Events",
            "NoEvents",
            "Bye",
        ],
        "worker": [
            "Call",
            "Calls",
            "Recall",
            "Chunks",
            "Credit",
            "Look",
            "Result",
            "Failure",
            "Cancel",
            "Cancel",
            "EndSession",
            "Telemetry",
            "Drain",
        ],
    }[side]


@every_codec
@both_sides
@settings(max_examples=60)
@given(messages=st.lists(st.binary(max_size=80), min_size=1, max_size=4))
def test_arbitrary_bytes(codec: Codec, side: str, messages: list[bytes]):
    """Noise gives a fault, or by chance a frame."""
    hear(side, codec, messages)


@pytest.mark.slow
@every_codec
@both_sides
@settings(max_examples=850)
@given(data=st.data())
def test_spoiled_messages(codec: Codec, side: str, data: st.DataObject):
    """Bytes changed, left out, put in or cut off in the middle of a conversation are survived, in pieces too."""
    sound = in_pieces(codec, side, data.draw(st.sampled_from([3, 20]))) if data.draw(st.booleans()) else VALID[side]
    messages = [codec.encode(message) for message in sound]
    which = data.draw(st.integers(0, len(messages) - 1))
    spoiled = bytearray(messages[which])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(spoiled)))
        length = data.draw(st.integers(0, 3))
        spoiled[place : place + length] = data.draw(st.binary(max_size=3))
    if data.draw(st.booleans()):
        del spoiled[data.draw(st.integers(0, len(spoiled))) :]
    messages[which] = bytes(spoiled)
    hear(side, codec, messages)


numbers = st.sampled_from([0, 1, 2, 5, -1, 7, 2**31, ASKED, ASKED + 2, 2**63 - 1, 2**64 - 1, -(2**63), 2**64, 10**4000])
anything = st.recursive(
    st.none() | st.booleans() | numbers | st.floats() | st.text(max_size=5) | st.binary(max_size=9) | st.just(OPTIONS),
    lambda part: (
        st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=3), part, max_size=3) | st.dictionaries(numbers, part, max_size=2)
    ),
    max_leaves=8,
)
likely_frames = st.tuples(st.sampled_from(KINDS) | numbers, numbers, anything, anything, anything, anything).map(list)
odd_frames = st.lists(anything, max_size=7) | st.tuples(st.sampled_from(KINDS), numbers).flatmap(
    lambda head: st.lists(anything, max_size=5).map(lambda rest: [*head, *rest])
)


@pytest.mark.slow
@every_codec
@both_sides
@settings(max_examples=60)
@given(messages=st.lists(st.lists(likely_frames | odd_frames, max_size=4) | anything, min_size=1, max_size=3))
def test_well_formed_values_of_the_wrong_shape(codec: Codec, side: str, messages: list[Any]):
    """Frames with any kinds, ids and fields are taken, ignored or a fault."""
    hear(side, codec, [codec.encode(message) for message in messages])


@pytest.mark.slow
@every_codec
@both_sides
@settings(max_examples=60)
@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 9]),
            st.booleans(),
            st.binary(max_size=6) | st.sampled_from([b"\x93", b"[", b"]", b"\x94\x28\x01\xc3\xc4\x00", b"[40,1,true,{}]"]),
        ),
        max_size=8,
    )
)
def test_pieces_of_anything(codec: Codec, side: str, parts: list[Any]):
    """Pieces of several calls, of noise, of pieces, in any order."""
    hear(side, codec, [codec.encode([[PIECE, *part]]) for part in parts] or [codec.encode([])])


IMPOSSIBLE = {
    "host": [
        ("no array", {"a": 1}),
        ("no frame", [7]),
        ("a short frame", [[HELLO]]),
        ("an empty frame", [[]]),
        ("a kind in words", [["hello", 0, {}]]),
        ("a kind that is true", [[True, 0, {}]]),
        ("a negative id", [[RESULT, -1, 1, {}]]),
        ("an id in words", [[RESULT, "1", 1, {}]]),
        ("a half id", [[RESULT, 1.0, 1, {}]]),
        ("no value", [[RESULT, 1]]),
        ("no metadata", [[RESULT, 1, 1]]),
        ("an error in words", [[ERROR, 1, "oops"]]),
        ("payloads in a dict", [[CHUNK, 1, 0, {}, 1, None]]),
        ("no payloads", [[CHUNK, 1, 0, [], 1, None]]),
        ("a gap", [[CHUNK, 1, 1, ["x"], 1, None]]),
        ("a chunk twice", [[CHUNK, 1, 0, ["x"], 1, None], [CHUNK, 1, 0, ["x"], 1, None]]),
        ("a chunk before the first", [[CHUNK, 1, -1, ["x"], 1, None]]),
        ("a negative size", [[CHUNK, 1, 0, ["x"], -1, None]]),
        ("more chunks than the window", [[CHUNK, 1, 0, [1] * 5, 5, None]]),
        ("more bytes than the window", [[CHUNK, 1, 0, [1, 2], 1001, None]]),
        ("more chunks, bit by bit", [[CHUNK, 1, number, [1], 1, None] for number in range(5)]),
        ("a chunk behind a large one", [[CHUNK, 1, 0, [1], 2000, None], [CHUNK, 1, 1, [2], 1, None]]),
        ("a large one behind a chunk", [[CHUNK, 1, 0, [1], 1, None], [CHUNK, 1, 1, [2], 1000, None]]),
        ("an extra in words", [[CHUNK, 1, 0, [1], 1, "final"]]),
        ("a token in words", [[PONG, 0, "7"]]),
        ("a piece in words", [[PIECE, 1, True, "abc"]]),
        ("a piece without an end", [[PIECE, 1, 1, b"abc"]]),
    ],
    "worker": [
        ("a call twice", [[CALL, 1, "tool", {}, OPTIONS]]),
        ("no window", [[CALL, 5, "tool", {}, {}]]),
        ("a window in words", [[CALL, 5, "tool", {}, {"window": "wide"}]]),
        ("a window of one", [[CALL, 5, "tool", {}, {"window": [1]}]]),
        ("a window of none", [[CALL, 5, "tool", {}, {"window": [0, 1]}]]),
        ("a window that is true", [[CALL, 5, "tool", {}, {"window": [True, True]}]]),
        ("a huge window that is none", [[CALL, 5, "tool", {}, {"window": ["w" * 10_000] * 100}]]),
        ("arguments in a list", [[CALL, 5, "tool", [], OPTIONS]]),
        ("calls without arguments", [[CALLS, 0, "tool", [5, 6], [{}], OPTIONS]]),
        ("calls whose arguments are none", [[CALLS, 0, "tool", [5], [["oops"]], OPTIONS]]),
        ("calls of which one is open", [[CALLS, 0, "tool", [5, 1], [{}, {}], OPTIONS]]),
        ("calls with the same number", [[CALLS, 0, "tool", [5, 5], [{}, {}], OPTIONS]]),
        ("calls numbered in words", [[CALLS, 0, "tool", ["oops"], [{}], OPTIONS]]),
        ("calls numbered in lists", [[CALLS, 0, "tool", [[5]], [{}], OPTIONS]]),
        ("calls without a window", [[CALLS, 0, "tool", [5], [{}], {}]]),
        ("a tool that is none", [[CALL, 5, None, {}, OPTIONS]]),
        ("a cancel without a reason", [[CANCEL, 1]]),
        ("credit that was not used", [[CREDIT, 1, 1, 0]]),
        ("bytes that were not used", [[CREDIT, 1, 0, 1]]),
        ("negative credit", [[CREDIT, 1, -1, 0]]),
        ("negative bytes", [[CREDIT, 1, 0, -1]]),
        ("credit in words", [[CREDIT, 1, "1", 0]]),
        ("a token that is none", [[PING, 0, None]]),
    ],
}


@every_codec
@pytest.mark.parametrize(
    ("side", "message"),
    [pytest.param(side, message, id=f"{side}: {name}") for side, cases in IMPOSSIBLE.items() for name, message in cases],
)
def test_what_cannot_be_is_a_fault(codec: Codec, side: str, message: Any):
    """Each of these breaks one rule, is refused in a sentence, and shows no values: they may be large or secret."""
    fault = hear(side, codec, [codec.encode(message)])[-1]
    assert isinstance(fault, Fault)
    assert 10 < len(fault.reason) < 200
    assert "oops" not in fault.reason


@every_codec
def test_pieces_must_make_a_frame_of_their_call(codec: Codec):
    """Pieces that make no array, a frame of another call, another piece or noise are a fault."""
    for whole in (
        codec.encode("text"),
        codec.encode([]),
        codec.encode([RESULT]),
        codec.encode([RESULT, 2, 1, {}]),
        codec.encode([PIECE, 1, True, b""]),
        b"\xc1",
    ):
        assert isinstance(hear("host", codec, [codec.encode([[PIECE, 1, False, whole[:1]], [PIECE, 1, True, whole[1:]]])])[-1], Fault)
    nested = codec.encode([RESULT, 1, 1, {}])
    for _ in range(3):
        nested = codec.encode([PIECE, 1, True, nested])
    assert isinstance(hear("host", codec, [codec.encode([[PIECE, 1, True, nested]])])[-1], Fault)


@every_codec
def test_what_came_before_a_fault_counts(codec: Codec):
    """The frames before the bad one in a message are delivered, those after it are not."""
    message = codec.encode([[PONG, 0, 1], [RESULT, 1, "r", {}], [RESULT, 2], [PONG, 0, 2]])
    events = hear("host", codec, [message])
    assert events[:-1] == [frames.Pong(1), frames.Result(1, "r", {})]
    assert isinstance(events[-1], Fault)


# ---- newer peers ----


@every_codec
@both_sides
def test_unknown_kinds_are_ignored_with_one_event_each(codec: Codec, side: str):
    """A newer peer's frames, of whatever fields, do not disturb; each kind is told once."""
    heard = listener(side, codec)
    message = codec.encode([[77, 0], [78, 1, {"new": True}], [77, 2, "again"], [PONG if side == "host" else PING, 0, 5]])
    first = heard.receive(message)
    assert [event for event in first if isinstance(event, Unknown)] == [Unknown(77), Unknown(78)]
    assert [event for event in heard.receive(message) if isinstance(event, Unknown)] == []


@every_codec
def test_endless_unknown_kinds_are_not_remembered(codec: Codec):
    """Whoever makes up kinds for ever gets a bounded number of events for them."""
    heard = listener("host", codec)
    told = sum(len(heard.receive(codec.encode([[kind, 0] for kind in range(start, start + 1000)]))) for start in range(100, 20_100, 1000))
    assert 0 < told <= 100
    assert heard.receive(codec.encode([[PONG, 0, 5]])) == [frames.Pong(5)]


@every_codec
def test_more_fields_than_known_are_fine(codec: Codec):
    """A newer peer may add fields at the end."""
    assert hear("host", codec, [codec.encode([[RESULT, 1, "r", {}, "new", {}]])]) == [frames.Result(1, "r", {})]


# ---- memory and the stack ----


def memory_of(deed: Any) -> int:
    """Bytes allocated at the highest point of doing it."""
    tracemalloc.start()
    try:
        deed()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", [CODECS["msgspec"], CODECS["msgpack"]], ids=["msgspec", "msgpack"])
@pytest.mark.parametrize("head", [b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"], ids=["array", "map", "bytes", "text", "extension"])
def test_a_claimed_length_allocates_nothing(codec: Codec, head: bytes):
    """Four bytes can claim four billion items; nothing is set aside for them, however deep the claims are nested."""
    for claim in (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x02\x00\x00\x00"):
        message = (b"\xdd" + claim) * 20 + head + claim + b"\x01" * 10
        assert memory_of(lambda message=message: hear("host", codec, [message])) < 1_000_000


@every_codec
def test_pieces_beyond_the_largest_frame_are_a_fault(codec: Codec):
    """A frame that never ends is given up at the limit, and what came of it is let go."""
    inbox = Inbox(codec, {RESULT: (object, dict)}, lambda frame: frame, Unknown, max_frame=10_000)
    events: list[Any] = []
    message = codec.encode([[PIECE, 1, False, b"p" * 1000]])
    received = 0
    while not events:
        events = inbox.read(message)
        received += 1
    assert received == 11
    assert [type(event) for event in events] == [Fault]
    assert "10000 bytes" in events[0].reason
    assert inbox.read(message) == []


@every_codec
def test_pieces_for_calls_that_are_not_open_are_not_kept(codec: Codec):
    """A worker cannot fill the host's memory with beginnings of frames that nobody waits for."""
    heard = listener("host", codec)

    def flood() -> None:
        for call_id in range(100, 400):
            assert heard.receive(codec.encode([[PIECE, call_id, False, b"p" * 20_000]])) == []

    assert memory_of(flood) < 1_000_000
    assert heard.receive(codec.encode([[PONG, 0, 5]])) == [frames.Pong(5)]


@every_codec
@both_sides
def test_nesting_that_no_stack_holds(codec: Codec, side: str):
    """Depths around what the interpreter can recurse through, and far beyond, end in a fault or in an event."""
    opening, closing = (b"[", b"]") if codec.name == "json" else (b"\x91", b"")
    core = b"1" if codec.name == "json" else b"\x01"
    limit = sys.getrecursionlimit()
    for depth in [*range(limit - 90, limit + 10), 100_000]:
        deep = opening * depth + core + closing * depth
        window = b'{"window":' + deep + b"}" if codec.name == "json" else b"\x81\xa6window" + deep
        encode = codec.encode
        call = codec.array([encode(CALL), encode(5), encode("tool"), encode({}), window])
        chunk = codec.array([encode(CHUNK), encode(1), encode(0), codec.array([deep]), encode(1), encode(None)])
        frame = chunk if side == "host" else call
        for message in (deep, codec.array([frame]), encode([[PIECE, 1 if side == "host" else 5, True, frame]])):
            hear(side, codec, [message])


@pytest.mark.parametrize("digits", [25, 4000, 5000])
@both_sides
def test_numbers_of_any_length(side: str, digits: int):
    """JSON can write integers that no field holds, and more digits than the interpreter reads."""
    number = b"9" * digits
    for frame in (
        b"[%s,0,{}]",
        b"[24,%s,1,{}]",
        b"[23,1,%s,[1],1,null]",
        b"[23,1,0,[1],%s,null]",
        b"[29,0,%s]",
        b"[6,0,%s]",
        b"[4,1,%s,0]",
        b"[4,1,0,-%s]",
        b'[1,5,"t",{},{"window":[1,%s]}]',
    ):
        hear(side, CODECS["json"], [b"[" + frame % number + b"]"])


@pytest.mark.parametrize(
    ("mark", "content"),
    [
        *[("b", content) for content in ("5", '"a"', '"!!!!"', '["YQ=="]', "{}", "null")],
        *[("d", content) for content in ("5", '["a"]', "[[1]]", "[[1,2,3]]", "[[{},1]]", "[[[{}],1]]", "null")],
        *[
            ("i", content)
            for content in ("5", '""', '"-"', '"0x1f"', '" 1f"', '"1_0"', '"\u0661"', '"FF"', '["ff"]', "null", "%r" % ("g" * 9999))
        ],
        *[
            ("t", content)
            for content in ("5", '"noon"', "[]", "null", '"2024-01-02T00:00:00"'[:-1] + "x" * 9999 + '"', '"9999-12-31T23:59:59-03:00"')
        ],
        *[("b", '{"\\u0000b":"YQ=="}'), ("x", '"YQ=="'), ("", "1")],
    ],
)
def test_a_mark_with_the_wrong_content_is_malformed(mark: str, content: str):
    """What only looks like a mark of the JSON codec's is refused."""
    with pytest.raises(Malformed) as caught:
        CODECS["json"].decode(b'[{"\\u0000%s":%s}]' % (mark.encode(), content.encode()))
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("extension", [b"\xd4\x05a", b"\xc7\x00\x01", b"\xd4\xfea", b"\xc7\x03\xff\x00\x00\x00", b"\xd7\xff" + b"\xff" * 8])
@pytest.mark.parametrize("codec", [CODECS["msgspec"], CODECS["msgpack"]], ids=["msgspec", "msgpack"])
def test_an_extension_that_is_not_ours_is_malformed(codec: Codec, extension: bytes):
    """Neither one of another type, nor an integer without bytes, nor a moment that is none."""
    with pytest.raises(Malformed):
        codec.decode(b"\x91" + extension)


@pytest.mark.parametrize("text", ['"\\ud800"', '"a\\uDFFF"', '{"\\udc00":1}', '["\\n", "\\ud83d\\ud83d"]'])
def test_half_a_pair_of_surrogates_is_malformed(text: str):
    """JSON can write what is no Unicode text, and what cannot leave again does not come in; whole pairs do."""
    with pytest.raises(Malformed):
        CODECS["json"].decode(text.encode())
    assert CODECS["json"].decode(b'["\\ud83d\\udc0d", "\\\\ud800"]') == ["\U0001f40d", "\\ud800"]


@every_codec
@both_sides
def test_numbers_of_frames_have_a_size(codec: Codec, side: str):
    """Kinds and call ids are remembered, so they may not be as long as a message."""
    for head in ([2**64, 0], [-(2**64), 0], [PONG if side == "host" else PING, 2**64, 1]):
        (fault,) = hear(side, codec, [codec.encode([head])])
        assert isinstance(fault, Fault)
