"""Every codec carries every plain value and gives the same one back; joined items are one array; nothing else escapes."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
import sys
import types
import uuid
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit_bridge.wire import msgpack_codec
from snakepit_bridge.wire.codecs import Codec, Malformed, available_codecs, codec_named
from wire_samples import CODECS, every_codec
from wire_table import TABLE, as_it_arrives

integers = (
    st.integers(-(2**63), 2**64 - 1)
    | st.sampled_from([-(2**63), 2**63 - 1, 2**63, 2**64 - 1, 2**53 + 1, -1, 0, 127, 128, 255, 256])
    | st.builds(lambda bits, more: (1 << bits) + more, st.integers(62, 300), st.integers(-2, 2)).flatmap(lambda n: st.sampled_from([n, -n]))
)
texts = st.text(max_size=12) | st.sampled_from(["\x00", "\x00b", "\x00d", "\x00i", "\x00t", "naïve", "\U0001f40d", "\u2028", '"\\'])
scalars = st.none() | st.booleans() | integers | st.floats() | texts | st.binary(max_size=12)
keys = st.recursive(
    texts | integers | st.booleans() | st.none() | st.binary(max_size=4), lambda part: st.tuples(part, part) | st.just(()), max_leaves=3
)
values = st.recursive(
    scalars,
    lambda part: (
        st.lists(part, max_size=4)
        | st.tuples(part, part)
        | st.dictionaries(texts, part, max_size=4)
        | st.dictionaries(keys, part, max_size=3)
        | st.builds(lambda name, content: {"\x00" + name: content}, st.sampled_from(["", "b", "d", "i", "t", "x"]), part)
    ),
    max_leaves=12,
)


@every_codec
@pytest.mark.parametrize("name", TABLE)
def test_the_table_holds_on_every_codec(codec: Codec, name: str):
    """Each value arrives equal and of the same type, alone and inside a frame with others."""
    value = TABLE[name]
    assert as_it_arrives(codec.decode(codec.encode(value))) == as_it_arrives(value)
    joined = codec.array([codec.encode(value), codec.encode("between"), codec.encode((value, [value]))])
    assert as_it_arrives(codec.decode(joined)) == as_it_arrives([value, "between", [value, [value]]])


@pytest.mark.slow
@every_codec
@settings(max_examples=120)
@given(value=values)
def test_a_plain_value_arrives_as_it_was(codec: Codec, value: Any):
    """Types, signs of zero, bytes at depth, keys of any kind and the codec's own marks survive; tuples become lists."""
    assert as_it_arrives(codec.decode(codec.encode(value))) == as_it_arrives(value)


@pytest.mark.slow
@every_codec
@settings(max_examples=60)
@given(items=st.lists(values, max_size=20))
def test_encoded_items_join_to_an_array(codec: Codec, items: list[Any]):
    """`array` of encoded items is the encoding of their list, as far as any reader can tell."""
    joined = codec.array([codec.encode(item) for item in items])
    assert as_it_arrives(codec.decode(joined)) == as_it_arrives(items)


@every_codec
@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 255, 256, 65_535, 65_536, 70_000])
def test_an_array_may_have_any_length(codec: Codec, count: int):
    """The lengths at which MessagePack changes the array's head are right."""
    assert codec.decode(codec.array([codec.encode(7)] * count)) == [7] * count


@every_codec
@settings(max_examples=100)
@given(data=st.binary(max_size=60))
def test_any_bytes_decode_or_are_malformed(codec: Codec, data: bytes):
    """Decoding raises nothing but Malformed."""
    try:
        codec.decode(data)
    except Malformed as error:
        assert str(error)


@every_codec
@settings(max_examples=100)
@given(value=values, data=st.data())
def test_an_encoding_cut_short_is_malformed(codec: Codec, value: Any, data: st.DataObject):
    """A part of an array never passes for a value."""
    whole = codec.encode([value])
    with pytest.raises(Malformed):
        codec.decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@every_codec
@pytest.mark.parametrize("follower", [b"\x00", b"0", b"[]"])
def test_bytes_after_the_value_are_malformed(codec: Codec, follower: bytes):
    """A value is all of its message."""
    with pytest.raises(Malformed):
        codec.decode(codec.encode([1.5]) + follower)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3
    WIDE = 2**70


class Shape(enum.Enum):
    SQUARE = (2, 2)
    LINE = [1, (2**70, None)]


class Words(str):  # what libraries hand out: numpy.str_, markupsafe.Markup
    __slots__ = ()


class Whole(int):
    pass


class Part(float):
    pass


class Blob(bytes):
    pass


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024


@dataclasses.dataclass
class Layer:
    name: str
    weights: tuple[float, ...] = (0.5,)


UTC = datetime.UTC
EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))


@every_codec
@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Shape.SQUARE, [2, 2]),
        ({"a": Shape.LINE}, {"a": [1, [2**70, None]]}),
        ({Shape.SQUARE: Shape.SQUARE}, {(2, 2): [2, 2]}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (types.MappingProxyType({"a": 2**70, (1, 2): [2**70]}), {"a": 2**70, (1, 2): [2**70]}),
        (Words("w"), "w"),
        (Whole(5), 5),
        (Whole(2**70), 2**70),
        (Level.WIDE, 2**70),
        ({Whole(2**70): {2**70}}, {2**70: [2**70]}),
        ({frozenset([2**70]): Layer("w", (2**70,))}, {(2**70,): {"name": "w", "weights": [2**70]}}),
        ([2**70, numpy.int64(3), Colour.RED, datetime.date(2024, 1, 2)], [2**70, 3, "red", "2024-01-02"]),
        (Part(0.5), 0.5),
        (Blob(b"b"), b"b"),
        (Point(1, 2), [1, 2]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aa"), {"a": 2}),
        ({1}, [1]),
        (frozenset([1]), [1]),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, 6), "2024-01-02T03:04:05.000006"),
        (datetime.date(2024, 1, 2), "2024-01-02"),
        (datetime.time(1, 2), "01:02:00"),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (decimal.Decimal("1.10"), "1.10"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (Layer("in"), {"name": "in", "weights": [0.5]}),
        (numpy.float64(0.5), 0.5),
        (numpy.float32(0.5), 0.5),
        (numpy.int64(3), 3),
        (numpy.bool_(True), True),
        (numpy.str_("s"), "s"),
        ({Colour.RED: 1}, {"red": 1}),
        ({numpy.int64(3): 1}, {3: 1}),
        ({frozenset([1]): 1}, {(1,): 1}),
        ({((1, 2), 3): 4}, {((1, 2), 3): 4}),
        ({uuid.UUID(int=5): 1}, {"00000000-0000-0000-0000-000000000005": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_well_known_types_arrive_the_same_on_every_codec(codec: Codec, value: Any, arrives: Any):
    """One value means the same on each protocol, inside containers too."""
    assert as_it_arrives(codec.decode(codec.encode([value]))) == as_it_arrives([arrives])


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
        datetime.datetime(1969, 1, 2, 3, 4, 5, tzinfo=EAST),
        datetime.timedelta(0),
        datetime.timedelta(days=1, seconds=3, microseconds=500_000),
        datetime.timedelta(days=-1, seconds=3),
        datetime.timedelta(seconds=59, microseconds=1),
    ],
    ids=repr,
)
def test_times_mean_the_same_on_every_codec(value: Any):
    """A moment or a length of time does not change its type with the protocol."""
    arrived = {name: repr(codec.decode(codec.encode({"at": value, value: "at"}))) for name, codec in CODECS.items()}
    assert len(set(arrived.values())) == 1, arrived


@every_codec
@given(moment=st.datetimes(datetime.datetime(1900, 1, 1), datetime.datetime(2200, 1, 1), timezones=st.sampled_from([UTC, EAST])))
def test_a_moment_arrives_as_that_moment(codec: Codec, moment: datetime.datetime):
    """To the microsecond, in UTC."""
    arrived = codec.decode(codec.encode([moment]))[0]
    assert arrived == moment
    assert arrived.utcoffset() == datetime.timedelta(0)


@given(length=st.timedeltas())
def test_lengths_of_time_are_text_of_one_form(length: datetime.timedelta):
    """What msgspec writes by itself, the others write too."""
    assert len({codec.decode(codec.encode(length)) for codec in CODECS.values()}) == 1


def test_codecs_are_found_by_name(monkeypatch: pytest.MonkeyPatch):
    """MessagePack comes first where there is a library for it; without one, asking for it says what to install."""
    assert available_codecs() == ["msgpack", "json"]
    assert [codec_named(name).name for name in available_codecs()] == ["msgpack", "json"]
    with pytest.raises(ValueError, match="'pickle': use one of msgpack, json"):
        codec_named("pickle")
    monkeypatch.setattr(msgpack_codec, "msgspec", None)
    assert available_codecs() == ["msgpack", "json"]
    monkeypatch.setitem(sys.modules, "msgpack", None)
    assert available_codecs() == ["json"]
    with pytest.raises(ImportError, match="pip install msgspec"):
        codec_named("msgpack")
