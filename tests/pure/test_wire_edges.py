"""The edges of the codecs' rules: just at a bound and just below it, and what would go on for ever."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import json
from typing import Any

import numpy
import pytest

from snakepit_bridge.bridge.plain import dumps
from snakepit_bridge.wire.attachments import Departure, Parcel
from snakepit_bridge.wire.codecs import Codec
from snakepit_bridge.wire.coding import BINARY_THRESHOLD
from snakepit_bridge.wire.markers import is_unserializable
from snakepit_bridge.wire.own_words import Silent, own_words
from snakepit_bridge.wire.plain import Unserialisable
from wire_samples import every_codec


class Circle(enum.Enum):
    """Its member says of itself that it is the member."""

    ROUND = 1

    @property
    def value(self) -> Any:
        """Another one, it says."""
        return self


@dataclasses.dataclass(frozen=True, order=True)
class Items:
    """In a set, and none there where it arrives: the set is a list."""

    number: int

    def __hash__(self) -> int:
        return self.number


class Price(enum.Enum):
    """Its member is what a key may be beside it."""

    ONE = decimal.Decimal(1)


class Offering:
    """A class that has something to say, of its objects."""

    @classmethod
    def to_dict(cls) -> dict[str, Any]:
        """Of none of them."""
        return {"lost": True}


@every_codec
@pytest.mark.parametrize(
    ("made", "least"),
    [
        (bytes, BINARY_THRESHOLD),
        (lambda size: [0.5] * size, BINARY_THRESHOLD // 8),
        (lambda size: numpy.zeros(size, "u1"), BINARY_THRESHOLD),
        (bytearray, BINARY_THRESHOLD),
    ],
    ids=["bytes", "floats", "array", "bytearray"],
)
def test_from_the_threshold_on_they_lie_beside_the_value(codec: Codec, made: Any, least: int) -> None:
    """`binary_threshold` or more, as it is documented."""
    assert isinstance(codec.pack_value(made(least)), Parcel)
    assert not isinstance(codec.pack_value(made(least - 1)), Parcel)


@every_codec
def test_what_says_for_ever_that_it_is_another_one(codec: Codec) -> None:
    """Ends, as a value and as a key."""
    for value in ([Circle.ROUND], {Circle.ROUND: 1}):
        with pytest.raises(Unserialisable, match="nested too deeply|as a key it would arrive"):
            codec.encode_value(value)
    answers = codec.for_answers()
    assert is_unserializable(answers.decode(answers.encode_value([Circle.ROUND]))[0])


@every_codec
def test_a_set_in_a_question_loses_nothing_in_silence(codec: Codec) -> None:
    """An item without a form is an error there, and no reason to make a list of the others."""
    with pytest.raises(Unserialisable, match="no plain form"):
        codec.encode_value({1, object()})


@every_codec
def test_sets_are_written_in_order(codec: Codec) -> None:
    """Equal ones are the same bytes: stores compare what they hold."""
    forwards, backwards = [0, 8], [8, 0]
    first, second = set(forwards), set(backwards)
    assert list(first) != list(second), "the interpreter orders them by itself"
    assert codec.encode_value(first) == codec.encode_value(second)
    one, other = set(map(Items, forwards)), set(map(Items, backwards))
    answers = codec.for_answers()
    assert answers.encode_value(one) == answers.encode_value(other)


def test_sets_are_in_order_in_json_too() -> None:
    """For other languages."""
    assert json.loads(dumps({16, 8, 0})) == json.loads(dumps({0, 8, 16})) == [0, 8, 16]


def test_what_branches_without_end_is_cut_off_in_time() -> None:
    """A list that holds itself twice, at every level another one: to look at all of it would take ages."""

    class Branching:
        def to_dict(self) -> dict[str, Any]:
            return {"left": Branching(), "right": Branching()}

    assert is_unserializable(json.loads(dumps([Branching()])))


def test_classes_say_nothing() -> None:
    """What they offer is for their objects."""
    with pytest.raises(Silent):
        own_words(Offering)


@pytest.mark.parametrize("said", [1, "true", [True], None])
def test_a_marker_says_true(said: Any) -> None:
    """And nothing that is merely true."""
    assert not is_unserializable({"__ffi_unserializable__": said, "__type__": "a.B"})
    assert is_unserializable({"__ffi_unserializable__": True, "__type__": "a.B"})


def test_bytes_of_its_own_are_not_copied_again() -> None:
    """What was copied when it was given leaves as it is."""

    class Refusing:
        def lease(self, nbytes: int) -> None:
            raise AssertionError("it has been asked for room")

    store: Any = Refusing()
    assert Departure(1, Parcel(b"", [memoryview(bytes(100_000))], owned=True), store).copy(1_000_000) == 0
    with pytest.raises(AssertionError):
        Departure(1, Parcel(b"", [memoryview(bytes(100_000))]), store).copy(1_000_000)


@every_codec
def test_what_is_no_number_takes_no_other_s_place(codec: Codec) -> None:
    """Each NaN is another one, also as a key and in sets."""
    first, second = float("nan"), float("nan")
    for value in ({first: "a", second: "b"}, {first, second, 1.0}, {(first, 1): "a", (second, 1): "b"}, [first, second]):
        found = codec.decode(codec.encode_value(value))
        assert len(found) == len(value)
    assert codec.decode(codec.encode_value([float("inf"), -float("inf")])) == [float("inf"), -float("inf")]


@every_codec
def test_keys_that_become_one_are_named_by_their_place(codec: Codec) -> None:
    """In questions and in answers."""
    value = {"x": [1, {"k": {decimal.Decimal(1): "a", Price.ONE: "b"}}]}
    for each in (codec, codec.for_answers()):
        with pytest.raises(Unserialisable, match="would arrive as one and the same") as raised:
            each.encode_value(value)
        assert raised.value.path == "['x'][1]['k']"


@every_codec
@pytest.mark.parametrize(
    "made", [numpy.zeros, numpy.ma.zeros, lambda count: numpy.zeros(count).view(numpy.recarray)], ids=["array", "masked", "records"]
)
def test_arrays_cannot_be_made_writable(codec: Codec, made: Any) -> None:
    """They may lie in memory that others see."""
    parcel = codec.pack_value(made(5000))
    assert isinstance(parcel, Parcel)
    received = [memoryview(bytearray(buffer)) for buffer in parcel.buffers if isinstance(buffer, memoryview)]
    found = codec.unpack(parcel.head, [buffer.toreadonly() for buffer in received])
    for array in (
        numpy.asarray(found),
        numpy.asarray(found)[..., 10:20],
        numpy.asarray(found).view("u1"),
        numpy.asarray(found).reshape(-1),
    ):
        with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
            array.flags.writeable = True
