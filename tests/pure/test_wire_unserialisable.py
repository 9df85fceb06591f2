"""A value that cannot travel is refused with its type and the path to it, whatever it is; nothing else is raised."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import pathlib
import sys
from typing import Any

import msgpack
import msgspec
import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakepit_bridge.wire.codecs import Codec, Unserialisable
from wire_samples import every_codec


class Thing:
    pass


class Holder(enum.Enum):
    THING = Thing()


@dataclasses.dataclass
class Layer:
    weights: Any


def refusal(codec: Codec, value: Any) -> Unserialisable:
    with pytest.raises(Unserialisable) as caught:
        codec.encode(value)
    return caught.value


@dataclasses.dataclass(frozen=True)
class Point:
    x: int


class Kind(enum.Enum):
    DETAILS = {"a": 1}


class Layers(dict[str, int]):
    def __hash__(self) -> int:
        return 1


class Record(msgspec.Struct):
    x: Any


class Nowhere(datetime.tzinfo):
    def utcoffset(self, _moment: Any) -> Any:
        return None

    def tzname(self, _moment: Any) -> str:
        return "nowhere"


THING = "test_wire_unserialisable.Thing"


@every_codec
@pytest.mark.parametrize(
    ("value", "path", "type_name"),
    [
        (Thing(), "", THING),
        ([Thing()], "[0]", THING),
        ({"a": [1, (2, Thing())]}, "['a'][1][1]", THING),
        ({"layers": [Layer(1), Layer({"w": Thing()})]}, "['layers'][1].weights['w']", THING),
        ({Thing: 1}, " key <class 'test_wire_unserialisable.Thing'>", "type"),
        ({"a": {7: {None: {(1, Thing)}}}}, "['a'][7][None]{(1, <class 'test_wire_unserialisable.Thing'>)}[1]", "type"),
        ({"a": "\ud800"}, "['a']", "str"),
        ({"a": {"\udfff": 1}}, "['a'] key '\\udfff'", "str"),
        ({"a": [2**64, (1j, len)]}, "['a'][1][1]", "builtin_function_or_method"),
        ({2**64: {-(2**64): Thing()}}, "[0x10000000000000000][-0x10000000000000000]", THING),
        ({10**5000: Thing()}, f"[{10**5000:#x}]", THING),
        ({"n": range(3)}, "['n']", "range"),
        ({"n": (item for item in ())}, "['n']", "generator"),
        ({"e": Holder.THING}, "['e']", THING),
        ({"e": numpy.array([Thing()])}, "['e'][0]", THING),
        ({"f": open}, "['f']", "builtin_function_or_method"),
        ([2**64, datetime.time(1, tzinfo=Nowhere())], "[1]", "datetime.time"),
        ([{"at": pathlib.PurePosixPath("\udcff")}], "[0]['at']", "pathlib.PurePosixPath"),
        (msgspec.msgpack.Ext(5, b"x"), "", "msgspec.msgpack.Ext"),
        ({"a": [msgspec.msgpack.Ext(1, b"\x01")]}, "['a'][0]", "msgspec.msgpack.Ext"),
        ({"a": msgspec.Raw(b"\x01")}, "['a']", "msgspec.Raw"),
        ([Record(Thing())], "[0].x", THING),
        ([2**70, msgpack.ExtType(5, b"x")], "[1]", "msgpack.ext.ExtType"),
        ({"a": msgpack.ExtType(1, b"x")}, "['a']", "msgpack.ext.ExtType"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_culprit_is_named(codec: Codec, value: Any, path: str, type_name: str):
    """The error says where in the value the culprit is, and of what type."""
    error = refusal(codec, value)
    assert (error.path, error.type_name) == (path, type_name)
    assert error.reason
    assert path in str(error)
    assert type_name in str(error)


@every_codec
@pytest.mark.parametrize(
    "key",
    [Point(1), (Point(1),), frozenset({Point(1)}), ("a", (1, Point(1))), Kind.DETAILS, (Kind.DETAILS,), Layers({"a": 1})],
    ids=repr,
)
def test_a_key_that_arrives_as_a_dict_is_refused(codec: Codec, key: Any):
    """It could be a key here and not there, where the decoder would fail and the channel with it."""
    error = refusal(codec, [1, {"in": {"fine": 0, key: 2**70}}])
    assert error.path == f"[1]['in'] key {key!r}"
    assert "arrive as a dict" in error.reason


@every_codec
def test_a_key_nested_without_end_is_refused(codec: Codec):
    """Tuples in tuples, as far as every decoder follows, and not one more."""
    deep = nested(30, lambda inner: (inner,))
    sent = codec.encode(nested(100, lambda inner: {deep: inner}))
    codec.decode(codec.array([codec.array([sent])]))
    assert "at most 30" in refusal(codec, {(deep,): 1}).reason


def nested(levels: int, wrap: Any) -> Any:
    value: Any = None
    for _ in range(levels):
        value = wrap(value)
    return value


@every_codec
@pytest.mark.parametrize("leaf", [1, 2**70, b"x" * 5000, datetime.date(2024, 1, 2)], ids=["1", "wide", "bytes", "date"])
@pytest.mark.parametrize(
    ("wrap", "allowed"),
    [
        (lambda inner: [inner], 300),
        (lambda inner: {"in": inner}, 300),
        (lambda inner: {"in": [inner]}, 150),
        (lambda inner: {1: inner}, 100),
        (lambda inner: {(1,): inner, "b": 2}, 100),
        (lambda inner: (inner,), 100),
        (lambda inner: {"\x00b": inner}, 100),
        (Layer, 300),
    ],
    ids=["lists", "dicts", "both", "other keys", "tuples as keys", "tuples", "like marks", "dataclasses"],
)
def test_every_codec_takes_the_same_depth(codec: Codec, wrap: Any, allowed: int, leaf: Any):
    """As deep as every decoder can follow, and not one level more, whatever the encoder had room for."""
    sent = codec.encode(nested(allowed, lambda inner: wrap(leaf if inner is None else inner)))
    codec.decode(codec.array([codec.array([sent])]))
    assert "nested too deeply" in refusal(codec, nested(allowed + 1, wrap)).reason


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3),
    max_leaves=6,
)


@every_codec
@settings(max_examples=80)
@given(
    beside=plain,
    steps=st.lists(st.text(alphabet="ab'\"\\\n[", max_size=3) | st.integers(0, 2), max_size=8),
    culprit=st.sampled_from([Thing(), len, "\ud800"]),
)
def test_the_path_leads_to_the_culprit(codec: Codec, beside: Any, steps: list[Any], culprit: Any):
    """Evaluated on the value, the path gives the culprit itself, at any depth and beside any plain values."""
    value = culprit
    for step in reversed(steps):
        value = [beside] * step + [value] if isinstance(step, int) else {"before": beside, step: value}
    error = refusal(codec, value)
    assert eval("value" + error.path, {"value": value}) is culprit


@every_codec
@pytest.mark.parametrize("kind", [list, dict])
def test_a_value_that_contains_itself_is_refused(codec: Codec, kind: type):
    """A cycle ends in an error that says so."""
    loop: Any = kind()
    inner = [loop]
    loop.append(inner) if kind is list else loop.update(inner=inner)
    assert "contains itself" in refusal(codec, {"loop": loop}).reason


@every_codec
@pytest.mark.parametrize("leaf", [None, Thing()], ids=["plain", "culprit"])
@pytest.mark.parametrize(
    "wrap", [lambda inner: [inner], lambda inner: {"in": inner}, lambda inner: {1: inner}, lambda inner: (inner, Thing())]
)
def test_five_thousand_levels_are_refused(codec: Codec, wrap: Any, leaf: Any):
    """Nesting far beyond what an interpreter can recurse through is an error, not a crash."""
    value = leaf
    for _ in range(5000):
        value = wrap(value)
    assert refusal(codec, value).reason


@every_codec
def test_an_encoder_works_after_it_refused(codec: Codec):
    """A refusal leaves nothing behind in the codec."""
    for culprit in (Thing(), [2**70, Thing()], {"\ud800": "\ud800"}):
        refusal(codec, ["before", culprit])
        assert codec.decode(codec.encode(["after"])) == ["after"]


class Mute:
    def __repr__(self) -> str:
        raise ValueError("no words")


class Sly:
    """Pretends to be an array, and is not."""

    dtype = "sly"

    def tolist(self) -> Any:
        return self


class Trap:
    @property
    def dtype(self) -> Any:
        raise OSError("gone")


@dataclasses.dataclass
class HalfMade:
    done: Any = None
    missing: Any = dataclasses.field(init=False, repr=False)


@every_codec
@pytest.mark.parametrize(
    "culprit",
    [
        Mute(),
        {Mute(): 1},
        {"a": Sly()},
        {"a": Trap()},
        HalfMade(Thing()),
        {"a": [Thing(), Mute()]},
        {1: {Mute(): Thing()}},
    ],
    ids=["mute", "mute key", "sly", "trap", "half made", "mute neighbour", "mute key above"],
)
def test_awkward_objects_are_refused_like_others(codec: Codec, culprit: Any):
    """What an object does when it is looked at does not get out."""
    assert refusal(codec, {"x": culprit}).type_name


@every_codec
def test_a_refusal_at_the_end_of_the_stack_is_still_one(codec: Codec):
    """With little stack left an encoder refuses; it raises nothing but Unserialisable or the interpreter's own RecursionError."""

    def deeper(levels: int) -> None:
        if levels:
            deeper(levels - 1)
        else:
            codec.encode({"a": [[[[Thing()]]]]})

    with pytest.raises((Unserialisable, RecursionError)):
        deeper(sys.getrecursionlimit() - 80)
