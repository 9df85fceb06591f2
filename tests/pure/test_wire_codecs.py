"""Every codec carries every plain value and gives the same one back; joined items are one array; nothing else escapes."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import pathlib
import sys
import types
import zoneinfo
from typing import Any

import msgpack
import msgspec
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
zones = (
    st.none() | st.timezones() | st.builds(datetime.timezone, st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)))
)
rich = (
    st.datetimes(timezones=zones, allow_imaginary=True)
    | st.dates()
    | st.times(timezones=zones)
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.complex_numbers(allow_nan=False)
    | st.builds(pathlib.PurePosixPath, st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=5))
    | zones
)
scalars = st.none() | st.booleans() | integers | st.floats() | texts | st.binary(max_size=12) | rich
keys = st.recursive(
    texts | integers | st.booleans() | st.none() | st.binary(max_size=4) | rich,
    lambda part: st.tuples(part, part) | st.just(()) | st.frozensets(part, max_size=2),
    max_leaves=3,
)
values = st.recursive(
    scalars,
    lambda part: (
        st.lists(part, max_size=4)
        | st.tuples(part, part)
        | st.sets(keys, max_size=3)
        | st.dictionaries(texts, part, max_size=4)
        | st.dictionaries(keys, part, max_size=3)
        | st.builds(
            lambda name, content: {"\x00" + name: content}, st.sampled_from(["", "b", "d", "i", "t", "x", "T", "S", "M", "y"]), part
        )
    ),
    max_leaves=12,
)


@every_codec
@pytest.mark.parametrize("name", TABLE)
def test_the_table_holds_on_every_codec(codec: Codec, name: str):
    """Each value arrives equal and of the same type, alone and inside a frame with others."""
    value = TABLE[name]
    assert as_it_arrives(codec.decode(codec.encode_value(value))) == as_it_arrives(value)
    joined = codec.array([codec.encode(value), codec.encode("between"), codec.encode_value((value, [value]))])
    assert as_it_arrives(codec.decode(joined)) == as_it_arrives([value, "between", (value, [value])])


@every_codec
def test_an_outermost_tuple_is_a_frame(codec: Codec):
    """`encode` writes it as an array, as frames are; what is in it stays what it is, and so does a value by itself."""
    assert codec.decode(codec.encode((1, (2,)))) == [1, (2,)]
    assert codec.decode(codec.encode_value((1, (2,)))) == (1, (2,))


@pytest.mark.slow
@every_codec
@settings(max_examples=120)
@given(value=values)
def test_a_plain_value_arrives_as_it_was(codec: Codec, value: Any):
    """Types, signs of zero, bytes at depth, keys of any kind, tuples, sets, times and the codec's own marks survive."""
    assert as_it_arrives(codec.decode(codec.encode_value(value))) == as_it_arrives(value)


@pytest.mark.slow
@every_codec
@settings(max_examples=60)
@given(items=st.lists(values, max_size=20))
def test_encoded_items_join_to_an_array(codec: Codec, items: list[Any]):
    """`array` of encoded items is the encoding of their list, as far as any reader can tell."""
    joined = codec.array([codec.encode_value(item) for item in items])
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


@dataclasses.dataclass(frozen=True)
class FrozenLayer:
    name: str


class Moment(datetime.datetime):
    pass


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
        (Shape.SQUARE, (2, 2)),
        ({"a": Shape.LINE}, {"a": [1, (2**70, None)]}),
        ({Shape.SQUARE: Shape.SQUARE}, {(2, 2): (2, 2)}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (types.MappingProxyType({"a": 2**70, (1, 2): [2**70]}), {"a": 2**70, (1, 2): [2**70]}),
        (Words("w"), "w"),
        (Whole(5), 5),
        (Whole(2**70), 2**70),
        (Level.WIDE, 2**70),
        ({Whole(2**70): {2**70}}, {2**70: {2**70}}),
        ({frozenset([2**70]): Layer("w", (2**70,))}, {frozenset([2**70]): {"name": "w", "weights": (2**70,)}}),
        ([2**70, numpy.int64(3), Colour.RED, datetime.date(2024, 1, 2)], [2**70, 3, "red", datetime.date(2024, 1, 2)]),
        (Part(0.5), 0.5),
        (Blob(b"b"), b"b"),
        (Point(1, 2), {"x": 1, "y": 2}),
        ({Point(1, 2): Point(1, 2)}, {(1, 2): {"x": 1, "y": 2}}),
        ({Point(1, 2)}, {(1, 2)}),
        (frozenset([FrozenLayer("w")]), [{"name": "w"}]),
        (Moment(2024, 1, 2, fold=1), datetime.datetime(2024, 1, 2, fold=1)),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (collections.Counter("aa"), {"a": 2}),
        ({1}, {1}),
        (frozenset([1]), frozenset([1])),
        (Layer("in"), {"name": "in", "weights": (0.5,)}),
        (numpy.float64(0.5), 0.5),
        (numpy.float32(0.5), 0.5),
        (numpy.int64(3), 3),
        (numpy.bool_(True), True),
        (numpy.str_("s"), "s"),
        ({Colour.RED: 1}, {"red": 1}),
        ({numpy.int64(3): 1}, {3: 1}),
        ({frozenset([1]): 1}, {frozenset([1]): 1}),
        ({((1, 2), 3): 4}, {((1, 2), 3): 4}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_well_known_types_arrive_the_same_on_every_codec(codec: Codec, value: Any, arrives: Any):
    """One value means the same on each protocol, inside containers too."""
    assert as_it_arrives(codec.decode(codec.encode([value]))) == as_it_arrives([arrives])


@every_codec
@given(moment=st.datetimes(timezones=zones, allow_imaginary=True))
def test_a_moment_arrives_as_that_moment(codec: Codec, moment: datetime.datetime):
    """To the microsecond, in its own zone, on its side of a fold."""
    assert as_it_arrives(codec.decode(codec.encode([moment]))) == as_it_arrives([moment])


@pytest.mark.parametrize("codec", [CODECS["msgspec"], CODECS["msgpack"]], ids=["msgspec", "msgpack"])
def test_moments_of_older_versions_are_read(codec: Codec):
    """As MessagePack's timestamps: stores keep what was written."""
    moment = datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert codec.decode(msgspec.msgpack.encode({"at": moment, "size": (1, 2)})) == {"at": moment, "size": [1, 2]}


def test_json_of_older_versions_is_read():
    """Their mark of a moment, and arrays for tuples."""
    data = rb'{"at":{"\u0000t":"2024-01-02T03:04:05+00:00"},"size":[1,2]}'
    assert CODECS["json"].decode(data) == {"at": datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "size": [1, 2]}


@every_codec
def test_a_zone_that_is_not_known_here_keeps_its_difference(codec: Codec, monkeypatch: pytest.MonkeyPatch):
    """The moment is the same one; rules that are nowhere to be found cannot come back."""
    sent = codec.encode([datetime.datetime(2024, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))])
    monkeypatch.setitem(sys.modules, "zoneinfo", None)
    (found,) = codec.decode(sent)
    assert found == datetime.datetime(2024, 7, 1, 10, tzinfo=UTC)
    assert repr(found.tzinfo) == "datetime.timezone(datetime.timedelta(seconds=7200), 'CEST')"


@every_codec
@pytest.mark.parametrize(
    "content",
    [
        [],
        None,
        "2024-01-02",
        ["nonsense", 0, None],
        ["2024-01-02T00:00:00", 2, None],
        ["2024-01-02T00:00:00", 0, [None, 5, 0, 0, None]],
        ["2024-01-02T00:00:00", 0, ["../../etc/passwd", 5, 0, 0, 1]],
        {"a": 1},
        [[1], {}],
        ["Path", "/a"],
        10**30,
    ],
    ids=str,
)
@pytest.mark.parametrize("letter", "TSFMDCLZNUPX")
def test_content_that_is_no_such_value_is_malformed_or_one(codec: Codec, letter: str, content: Any):
    """Whatever a sender writes behind a letter of ours, nothing but `Malformed` is raised."""
    if codec.name == "json":
        data = json.dumps({"\x00" + letter: content}).encode()
    else:
        data = msgpack.packb(msgpack.ExtType(ord(letter), codec.encode_value(content)))
    try:
        codec.decode(data)
    except Malformed as error:
        assert str(error)


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
