"""What is asked of objects before a value goes to another thread: everything, once, and nothing else changes."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
from typing import Any, NamedTuple

import numpy
import pytest

from odd_objects import Endless
from snakepit_bridge.wire.codecs import codec_named
from snakepit_bridge.wire.plain import MAX_LEVELS, Unserialisable
from snakepit_bridge.wire.settling import settled


class Point(NamedTuple):
    """Fields by name."""

    x: Any


class Colour(enum.Enum):
    """Its members are their values."""

    RED = (1, 2)


@dataclasses.dataclass
class Layer:
    """One of fields."""

    weights: Any


class Counting:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def to_dict(self) -> dict[str, Any]:
        """Itself, as others want it."""
        self.asked += 1
        return {"asked": self.asked}


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, "x", None, 2.5]},
        {"a": (1, {2}, datetime.date(2020, 1, 1), [b"x", bytearray(b"y")])},
        {"a": numpy.zeros(3), "b": [numpy.float32(1)], "c": numpy.array([None])},
        {"a": {(1, 2): frozenset({3})}},
    ],
)
def test_what_says_nothing_stays_the_very_same(value: Any) -> None:
    """Nothing is copied for it."""
    assert settled(value) is value


def test_objects_are_asked_once_each_wherever_they_are() -> None:
    """The encoder then finds plain values; what lies beside them is not copied."""
    first, beside = Counting(), [1, 2]
    given = {"a": [first, beside], "b": (Layer([first]),), "c": collections.OrderedDict(x=Point(first)), "d": Colour.RED}
    found = settled(given)
    assert first.asked == 3
    assert found == {
        "a": [{"asked": 1}, [1, 2]],
        "b": ({"weights": [{"asked": 2}]},),
        "c": {"x": {"x": {"asked": 3}}},
        "d": (1, 2),
    }
    assert found["a"][1] is beside
    assert given["a"][0] is first
    for name in ("msgpack", "json"):
        codec = codec_named(name)
        assert codec.decode(codec.encode_value(settled(given)))["d"] == (1, 2)


def test_an_object_that_says_nothing_is_named_by_its_place() -> None:
    """Unless markers may stand for it: then it stays."""
    given = {"a": [{"b": object()}]}
    with pytest.raises(Unserialisable, match="no plain form") as raised:
        settled(given)
    assert raised.value.path == "['a'][0]['b']"
    found = settled([Counting(), given], forgiving=True)
    assert found[0] == {"asked": 1}
    assert found[1] is given


def test_what_never_ends_is_left_to_the_encoder() -> None:
    """It has the words for it."""
    ring: list[Any] = [Counting()]
    ring.append(ring)
    assert settled(ring) is ring
    deep: Any = Counting()
    for _ in range(MAX_LEVELS + 1):
        deep = [deep]
    assert settled(deep) is deep
    endless = [Endless()]
    assert settled(endless) is endless
