"""Answers: what an object says of itself travels; for what says nothing a marker stands, and what the rest became is told."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
from typing import Any, Self
from unittest import mock

import msgpack
import msgspec
import numpy
import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odd_objects import Endless, Fields, Renamed
from snakepit_bridge.wire.codecs import Codec, Unserialisable
from snakepit_bridge.wire.markers import is_unserializable
from wire_samples import every_codec


class Thing:
    def __repr__(self) -> str:
        return "Thing(token='s3cr3t-value')"


class Model:
    def __init__(self, **fields: Any) -> None:
        self._fields_ = fields

    def model_dump(self) -> dict[str, Any]:
        return self._fields_

    def to_dict(self) -> dict[str, Any]:
        return {"lost": "model_dump goes first"}


class Frame:
    def to_dict(self) -> Any:
        return {"rows": (1, 2)}


class Moment:
    def isoformat(self) -> str:
        return "2026-01-02"


def ring() -> list[Any]:
    """A list that contains itself."""
    found: list[Any] = [Endless()]
    found.append(found)
    return found


class Selfish:
    def to_dict(self) -> Any:
        return {"me": self}


class Attrs:
    """As attrs makes them."""

    __attrs_attrs__ = (mock.NonCallableMock(spec=["name"]),)
    size = 3


Attrs.__attrs_attrs__[0].name = "size"


class Struct(msgspec.Struct):
    x: Any


class Colour(enum.Enum):
    ODD = Thing()
    RED = "red"


class Number(enum.Enum):
    ONE = 1


class Rich(enum.Enum):
    PAIR = (1, 2)
    DECIMAL = decimal.Decimal(1)
    DAY = datetime.date(2026, 1, 2)
    BYTES = b"x"


class Refusing:
    def model_dump(self) -> Any:
        raise ValueError("not now")


class Array:
    """An array of some other library."""

    def __init__(self, size: int) -> None:
        self.shape = (size,)

    def tolist(self) -> list[int]:
        return list(range(self.shape[0]))


class Failing:
    @property
    def to_dict(self) -> Any:
        raise OSError("gone")


def answered(codec: Codec, value: Any, facts: dict[str, Any] | None = None) -> Any:
    """A value as it arrives that is an answer."""
    sent = codec.for_answers().pack_value(value, facts)
    return codec.decode(sent) if isinstance(sent, bytes) else codec.unpack(sent.head, sent.buffers)  # type: ignore[arg-type]


def marked(name: str) -> dict[str, Any]:
    """The marker of a class of this module."""
    return {"__ffi_unserializable__": True, "__type__": f"{__name__}.{name}"}


@every_codec
@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Model(a=Model(b=(1,))), {"a": {"b": (1,)}}),
        (Frame(), {"rows": (1, 2)}),
        (Moment(), "2026-01-02"),
        (Attrs(), {"size": 3}),
        (Struct(Fields(1j)), {"x": {"inner": 1j}}),
        (Renamed(), {"outer": 1}),
        (Colour.RED, "red"),
        (Array(3), [0, 1, 2]),
        (numpy.array([1, "a", None], dtype=object), [1, "a", None]),
        (numpy.float32(0.5), 0.5),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("strict", [False, True])
def test_objects_are_asked(codec: Codec, value: Any, arrives: Any, strict: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where markers are not wanted, and in what is asked, such as arguments."""
    monkeypatch.setattr(codec.terms, "strict", strict)
    assert answered(codec, {"in": [value]}) == {"in": [arrives]}
    assert codec.decode(codec.encode_value(value)) == arrives


@every_codec
@pytest.mark.parametrize(
    ("value", "arrives"),
    [
        (Thing(), marked("Thing")),
        ({"a": [1, (2, Thing())]}, {"a": [1, (2, marked("Thing"))]}),
        ({"a": 2**70, 7: Thing()}, {"a": 2**70, 7: marked("Thing")}),
        (Fields([Colour.ODD]), {"inner": [marked("Thing")]}),
        (numpy.array([Thing(), 1]), [marked("Thing"), 1]),
        ([Failing()], [marked("Failing")]),
        (["a", "\ud800"], ["a", {"__ffi_unserializable__": True, "__type__": "builtins.str"}]),
        ([pathlib.PurePosixPath("\udcff")], [{"__ffi_unserializable__": True, "__type__": "pathlib.PurePosixPath"}]),
        ([len], [{"__ffi_unserializable__": True, "__type__": "builtins.builtin_function_or_method"}]),
        ([msgpack.ExtType(5, b"")], [{"__ffi_unserializable__": True, "__type__": "msgpack.ext.ExtType"}]),
    ],
    ids=str,
)
def test_one_odd_part_does_not_cost_the_rest(codec: Codec, value: Any, arrives: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A marker that names the type stands in its place, and nowhere else."""
    assert answered(codec, value) == arrives
    with pytest.raises(Unserialisable):
        codec.encode_value(value)
    monkeypatch.setattr(codec.terms, "strict", True)
    with pytest.raises(Unserialisable):
        answered(codec, value)


@every_codec
def test_a_set_with_an_odd_item_is_a_list(codec: Codec) -> None:
    """No set holds a marker."""
    arrived = answered(codec, {1, Thing()})
    assert sorted(map(str, arrived)) == sorted(map(str, [1, marked("Thing")]))


@every_codec
def test_a_stand_in_of_tests_is_a_marker(codec: Codec) -> None:
    """It has every method, and all give more of its like."""
    assert is_unserializable(answered(codec, mock.MagicMock()))


@every_codec
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({Thing(): 1}, "key"),
        ([Thing(), {(1, len): 2}], r"\[1\] key"),
        ([Thing(), {"\ud800": 2}], r"\[1\] key"),
        (ring(), "contains itself"),
        (collections.OrderedDict(a=ring()), "contains itself"),
    ],
    ids=["key", "key in a key", "text as a key", "itself", "itself inside"],
)
def test_what_no_marker_can_stand_for(codec: Codec, value: Any, said: str) -> None:
    """A key, for which others could be taken, and what has no end: the error names that, and not what markers are for."""
    with pytest.raises(Unserialisable, match=said):
        answered(codec, value)


@every_codec
def test_what_has_to_be_awaited_is_an_error(codec: Codec) -> None:
    """What it would have given was meant: nobody wants a marker for it."""

    async def later() -> int:
        return 1

    waiting = later()
    with pytest.raises(Unserialisable, match=r"\['x'\] is a coroutine"):
        answered(codec, {"x": waiting, "y": Thing()})
    waiting.close()


@every_codec
@pytest.mark.parametrize(("most", "is_marker"), [("2", True), ("3", False)])
def test_a_long_array_is_no_list(codec: Codec, most: str, is_marker: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would take a hundred times its memory: asked before anything is allocated."""
    monkeypatch.setenv("SNAKEPIT_TOLIST_MAX_ELEMENTS", most)
    value = Array(3)
    if is_marker:
        value.tolist = mock.Mock(side_effect=AssertionError("too long to be asked"))  # type: ignore[method-assign]
        with pytest.raises(Unserialisable, match="it would have 3 elements, which are too many"):
            codec.encode_value([value])
    assert is_unserializable(answered(codec, [value])[0]) == is_marker


@every_codec
@pytest.mark.parametrize(
    ("detail", "text"), [("type", None), ("repr_truncated", "Thing(token='s3cr3t-value')"), ("repr_redacted_truncated", "Thing(token=")]
)
def test_a_marker_tells_what_the_environment_allows(codec: Codec, detail: str, text: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than the type unless asked for."""
    monkeypatch.setenv("SNAKEPIT_UNSERIALIZABLE_DETAIL", detail)
    (found,) = answered(codec, [Thing()])
    assert is_unserializable(found)
    assert ("s3cr3t" in str(found)) == (detail == "repr_truncated")
    assert found.get("__repr__", "").startswith(text or "")
    assert ("__repr__" in found) == (text is not None)


@every_codec
def test_what_became_of_types_is_told(codec: Codec) -> None:
    """Of each that did not go as the encoding has it; nothing of the others."""
    facts: dict[str, Any] = {}
    value = [numpy.zeros(5000), numpy.zeros(3)[0], bytearray(b"x"), Thing(), Fields(1), (1,), {2}, datetime.date(2026, 1, 2), "\ud800"]
    answered(codec, value, facts)
    here = f"{__name__}."
    assert facts == {
        "types": {
            "numpy.ndarray": "attachment",
            "numpy.float64": "float",
            "bytearray": "inline",
            f"{here}Thing": "unserializable",
            "odd_objects.Fields": "dict",
            "str": "unserializable",
        }
    }
    facts.clear()
    answered(codec, [1, "a", {"b": [2.0, b"c"]}, (3,)], facts)
    assert facts == {}


@every_codec
def test_no_more_types_are_told_of_than_can_be_read(codec: Codec) -> None:
    """A value of thousands of classes has a short account."""
    facts: dict[str, Any] = {}
    answered(codec, [type(f"Class{n}", (), {})() for n in range(100)], facts)
    assert len(facts["types"]) == 32


odd = st.sampled_from([Thing(), Failing(), len, "\ud800"])
part = st.recursive(
    odd | st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.binary(max_size=3) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=8,
)


def cleaned(value: Any) -> Any:
    """The value with markers in it, made without a codec."""
    if isinstance(value, (list, tuple)):
        return type(value)(cleaned(item) for item in value)
    if isinstance(value, dict):
        return {key: cleaned(item) for key, item in value.items()}
    if value == "\ud800" or isinstance(value, (Thing, Failing)) or value is len:
        return {"__ffi_unserializable__": True, "__type__": f"{type(value).__module__}.{type(value).__qualname__}"}
    return value


@every_codec
@settings(max_examples=100)
@given(value=part)
def test_any_value_arrives_with_markers_where_they_must_be(codec: Codec, value: Any) -> None:
    """At any depth, and the rest as it was, types and all."""
    assert repr(answered(codec, value)) == repr(cleaned(value))


@every_codec
@pytest.mark.parametrize("missing", [pandas.NaT, pandas.NA, numpy.ma.masked], ids=["NaT", "NA", "masked"])
def test_what_is_missing_is_none(codec: Codec, missing: Any) -> None:
    """Also as a key, in an array of a library, and where nothing is forgiven."""
    assert codec.decode(codec.encode_value([missing, {"a": missing}])) == [None, {"a": None}]
    if missing is not numpy.ma.masked:  # that one is not hashable
        assert codec.decode(codec.encode_value({missing: 1})) == {None: 1}
    assert answered(codec, pandas.array([1, None], dtype="Int64")) == [1, None]


@every_codec
@pytest.mark.parametrize(
    "value",
    [numpy.datetime64("2026-01-02T03:04:05.123456789"), numpy.timedelta64(3, "M"), numpy.datetime64("2026-01-02"), numpy.longdouble(1) / 3],
    ids=str,
)
def test_a_scalar_whose_number_does_not_say_all_stays_one(codec: Codec, value: Any) -> None:
    """Its unit and its digits; as a key it is refused by name."""
    arrived = codec.decode(codec.encode_value({"in": [value]}))["in"][0]
    assert (type(arrived), arrived.dtype, arrived) == (type(value), value.dtype, value)
    if not isinstance(value.tolist(), datetime.date):  # that one is what it means
        with pytest.raises(Unserialisable, match=r"the value\['in'\] key "):
            codec.encode_value({"in": {value: 1}})


@every_codec
@pytest.mark.parametrize(
    "value", [pandas.Timestamp("2026-01-02T03:04:05.123456789"), pandas.Timedelta(1500, "ns")], ids=["moment", "duration"]
)
def test_nanoseconds_are_not_lost_in_silence(codec: Codec, value: Any) -> None:
    """What Python's own types cannot hold is refused, with what to send instead; without any it arrives."""
    with pytest.raises(Unserialisable, match="its nanoseconds would be lost; send value.to_"):
        codec.encode_value([value])
    assert codec.decode(codec.encode_value(value.floor("us"))) == value.floor("us")


@every_codec
def test_a_frame_that_cannot_be_packed_loses_no_rows(codec: Codec) -> None:
    """Its own `to_dict` would: of rows with one label the last is left."""
    frame = pandas.concat([pandas.DataFrame({"tags": [["a"]]})] * 3)
    with pytest.raises(Unserialisable, match="what Arrow's format does not"):
        codec.encode_value(frame)
    assert is_unserializable(answered(codec, [frame])[0])


@every_codec
@pytest.mark.parametrize(
    "value",
    [
        {Colour.RED: 1, "red": 2},
        {1: {Number.ONE: 1, 1: 2}},
        {Rich.PAIR: 1, (1, 2): 2},
        {Rich.DECIMAL: 1, decimal.Decimal(1): 2},
        {Rich.DECIMAL: 1, 1: 2},
        {Rich.DAY: 1, datetime.date(2026, 1, 2): 2},
        {numpy.datetime64("2026-01-02"): 1, datetime.date(2026, 1, 2): 2},
        {Rich.BYTES: 1, b"x": 2},
        {frozenset({Rich.BYTES}): 1, frozenset({b"x"}): 2},
        {(Rich.DECIMAL, "a"): 1, (decimal.Decimal(1), "a"): 2},
        {None: 1, pandas.NaT: 2},
    ],
    ids=str,
)
def test_keys_that_would_become_one_are_refused(codec: Codec, value: Any) -> None:
    """One of their items would be lost."""
    with pytest.raises(Unserialisable, match="two of its keys, or items, would arrive as one and the same"):
        answered(codec, value)


@every_codec
def test_what_an_object_said_when_it_was_asked_is_told(codec: Codec) -> None:
    """A method of its own that raises is a mistake in it."""
    with pytest.raises(Unserialisable, match=r"its model_dump\(\) raised ValueError: not now; it is no plain value"):
        codec.encode_value([Refusing()])


@dataclasses.dataclass(frozen=True)
class Frozen:
    x: int


@every_codec
def test_a_set_that_becomes_a_list_leaves_nothing_behind(codec: Codec) -> None:
    """What was written of its items as those of a set is not taken for what comes after."""
    large = [letter * 5000 for letter in (b"A", b"B", b"C")]
    arrived = codec.decode(codec.encode_value([{large[0], Frozen(1)}, {"in": {(large[1],), (Frozen(2),)}}, *large]))
    assert sorted(arrived[0], key=str) == sorted([large[0], {"x": 1}], key=str)
    assert sorted(arrived[1]["in"], key=str) == sorted([(large[1],), ({"x": 2},)], key=str)
    assert arrived[2:] == large


@every_codec
def test_items_of_a_set_that_would_become_one_stay_two(codec: Codec) -> None:
    """The set is a list then."""
    arrived = codec.decode(codec.encode_value({Colour.RED, "red", Rich.DECIMAL, 2}))
    assert sorted(map(str, arrived)) == ["1", "2", "red", "red"]


class EvilDict(dict[str, int]):
    def items(self) -> Any:
        raise OSError("gone")


class EvilList(list[int]):
    def __iter__(self) -> Any:
        raise OSError("gone")


def released() -> memoryview:
    """A view of nothing any more."""
    view = memoryview(b"abc")
    view.release()
    return view


@every_codec
@pytest.mark.parametrize("value", [EvilDict(a=1), EvilList([1]), released()], ids=lambda value: type(value).__name__)
def test_a_container_whose_own_code_fails_costs_no_other(codec: Codec, value: Any) -> None:
    """A marker stands for it alone; in what is asked it is refused."""
    arrived = answered(codec, {"fine": (1,), "in": [value]})
    assert arrived["fine"] == (1,)
    assert is_unserializable(arrived["in"][0])
    with pytest.raises(Unserialisable):
        codec.encode_value([value])


@every_codec
def test_containers_of_derived_classes_arrive_by_their_own_word(codec: Codec) -> None:
    """Ordered and counting dicts, lists and tuples with more to them."""

    class Doubled(dict[str, int]):
        def items(self) -> Any:
            return [(key, 2 * item) for key, item in super().items()]

    value = [
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        Doubled(a=1),
        type("L", (list,), {})([1]),
        type("T", (tuple,), {})([1]),
    ]
    assert codec.decode(codec.encode_value(value)) == [{"a": 1}, {"a": 2, "b": 1}, {"a": 2}, [1], (1,)]


class Pair(tuple, enum.Enum):  # type: ignore[type-arg] # noqa: SLOT001 - an enum's members have none
    ONE = (1, 2)

    def __new__(cls, *items: int) -> Self:
        member = tuple.__new__(cls, items)
        member._value_ = "one"
        return member


class Day(datetime.date, enum.Enum):
    FIRST = (2026, 1, 2)


@every_codec
@pytest.mark.parametrize(("member", "arrives"), [(Pair.ONE, "one"), (Day.FIRST, Day.FIRST.value)], ids=["tuple", "date"])
def test_a_member_is_its_value_whatever_it_is_derived_from(codec: Codec, member: Any, arrives: Any) -> None:
    """As a value, in a set and as a key."""
    assert codec.decode(codec.encode_value([member, {member}, {member: 1}])) == [arrives, {arrives}, {arrives: 1}]


@every_codec
def test_a_series_that_cannot_be_packed_loses_no_rows(codec: Codec) -> None:
    """Its own `to_dict` keeps one of each label."""
    series = pandas.Series([1j, 2j, 3j], index=["a", "a", "b"])
    with pytest.raises(Unserialisable, match="what Arrow's format does not"):
        codec.encode_value(series)
    assert is_unserializable(answered(codec, [series])[0])


@every_codec
def test_no_object_ends_the_program(codec: Codec) -> None:
    """One that leaves when it is asked is told of."""

    class Leaving:
        def to_dict(self) -> Any:
            raise SystemExit(3)

    with pytest.raises(Unserialisable, match=r"its to_dict\(\) raised SystemExit: 3"):
        codec.encode_value([Leaving()])
    assert is_unserializable(answered(codec, [Leaving()])[0])


@every_codec
def test_large_ones_are_told_of_before_small_ones(codec: Codec) -> None:
    """Bytes and lists of floats too, where they are attachments."""
    facts: dict[str, Any] = {}
    answered(codec, [numpy.zeros(1), numpy.zeros(9000), numpy.zeros(1), b"x" * 20_000, [0.5] * 9000, b"x"], facts)
    assert facts == {"types": {"numpy.ndarray": "attachment", "bytes": "attachment", "list": "attachment"}}


@every_codec
def test_what_the_facts_hold_themselves_is_no_part_of_the_result(codec: Codec) -> None:
    """A snapshot goes along with a result, as bytes: of the result's types nothing is said by it."""
    facts: dict[str, Any] = {"snapshot": bytes(100_000), "more": [1.0] * 10_000}
    codec.for_answers().pack([1, "x", facts], facts)
    assert "types" not in facts


@every_codec
def test_what_an_object_says_without_end_is_a_marker(codec: Codec) -> None:
    """The rest arrives, and nothing of what it said does; a plain value without an end is an error."""
    value = [numpy.arange(5000), {"endless": Endless(), "after": b"y" * 6000}, numpy.arange(4000)]
    facts: dict[str, Any] = {}
    found = answered(codec, value, facts)
    assert is_unserializable(found[1].pop("endless"))
    assert found[1] == {"after": b"y" * 6000}
    assert [len(found[0]), len(found[2])] == [5000, 4000]
    assert facts["types"]["odd_objects.Endless"] == "unserializable"
    assert is_unserializable(answered(codec, (Selfish(),))[0])
    with pytest.raises(Unserialisable, match="nested too deeply"):
        codec.encode_value([Endless()])
