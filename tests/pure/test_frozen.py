"""Pictures that nobody can change, and copies of them that everybody can."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from snakepit_bridge.frozen import FrozenDict, FrozenList, freeze

VALUE = {"a": [1, {"b": 2}], "c": ({"d": [3]},)}


@dataclasses.dataclass(frozen=True)
class Picture:
    """What a picture is given out in."""

    facts: Any


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda frozen: pickle.loads(pickle.dumps(frozen)),
    "asdict": lambda frozen: dataclasses.asdict(Picture(frozen))["facts"],
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_plain(name: str) -> None:
    """At any depth; the picture stays what it was."""
    frozen = freeze(VALUE)
    plain = COPIES[name](frozen)
    assert plain == frozen == VALUE
    assert (type(plain), type(plain["a"]), type(plain["a"][1]), type(plain["c"][0])) == (dict, list, dict, dict)
    plain["a"][1]["b"] = 5
    assert frozen == VALUE
    assert (type(frozen["a"]), type(frozen["a"][1])) == (FrozenList, FrozenDict)


@pytest.mark.parametrize(
    "change",
    [
        lambda frozen: frozen.update(a=1),
        lambda frozen: frozen["a"].append(1),
        lambda frozen: frozen["a"][1].__init__(b=3),
        lambda frozen: frozen["a"].__init__([1]),
        lambda frozen: frozen.__ior__({"a": 1}),
        lambda frozen: frozen["c"][0].pop("d"),
    ],
)
def test_a_picture_refuses(change: Callable[[Any], Any]) -> None:
    """Every way to change it, with the cure."""
    frozen = freeze(VALUE)
    with pytest.raises(TypeError, match=r"copy\.deepcopy"):
        change(frozen)
    assert frozen == VALUE
