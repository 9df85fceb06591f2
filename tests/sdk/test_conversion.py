"""Conversion of arguments: each becomes what its parameter is annotated with, or the error tells why it cannot."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import json
import os
import pathlib
import typing
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythons import run
from snakepit_bridge._runtime.conversion import InvalidArgument, conversion_for
from snakepit_bridge._runtime.converters import converter_for
from snakepit_bridge._runtime.loading import load
from snakepit_bridge._runtime.readings import Misfit
from snakepit_bridge.tool_specs import describe
from snakepit_bridge.wire.codecs import codec_named

UTC = datetime.UTC
Path = pathlib.Path


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"
    blue = "RED"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Odd(enum.Enum):
    PAIR = (1, 2)
    HOME = pathlib.PurePosixPath("/home")
    THING = object()


class Bits(enum.Flag):
    A = 1
    B = 2


class Spot(NamedTuple):
    where: Path
    weight: float = 1.0


@dataclasses.dataclass
class Point:
    x: int
    path: Path = Path()  # noqa: RUF009 - paths do not change
    seen: datetime.date = None  # type: ignore[assignment]
    twice: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x must not be negative")
        self.twice = 2 * self.x


@dataclasses.dataclass
class Node:
    color: Color
    children: list[Node] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Sized:
    scale: dataclasses.InitVar[decimal.Decimal]
    size: float = 0

    def __post_init__(self, scale: decimal.Decimal) -> None:
        self.size = float(scale * 2)


def converted(annotation: Any, value: Any) -> Any:
    """What the converter of an annotation makes of a value."""
    convert = converter_for(annotation)
    assert convert is not None
    return convert(value)


def misfit(annotation: Any, value: Any) -> Misfit:
    """Why a value cannot become what is annotated."""
    with pytest.raises(Misfit) as caught:
        converted(annotation, value)
    return caught.value


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Path, "a/b", Path("a/b")),
        (pathlib.PurePosixPath, "a", pathlib.PurePosixPath("a")),
        (os.PathLike, "a", Path("a")),
        (Color, "red", Color.RED),
        (Color, "BLUE", Color.BLUE),
        (Color, "RED", Color.blue),
        (Level, 2, Level.HIGH),
        (Level, "HIGH", Level.HIGH),
        (Odd, [1, 2], Odd.PAIR),
        (Odd, "/home", Odd.HOME),
        (Odd, "THING", Odd.THING),
        (Bits, 3, Bits.A | Bits.B),
        (datetime.datetime, "2024-05-31T12:00:00.5Z", datetime.datetime(2024, 5, 31, 12, 0, 0, 500000, UTC)),
        (datetime.datetime, "2024-05-31 12:00", datetime.datetime(2024, 5, 31, 12)),
        (datetime.datetime, "2024-05-31", datetime.datetime(2024, 5, 31)),
        (datetime.date, "2024-05-31", datetime.date(2024, 5, 31)),
        (datetime.date, "2024-05-31T12:00:00", datetime.datetime(2024, 5, 31, 12)),
        (datetime.time, "12:30:00.123456789Z", datetime.time(12, 30, 0, 123456, UTC)),
        (datetime.timedelta, 1.5, datetime.timedelta(seconds=1.5)),
        (datetime.timedelta, "P1W2DT3H4M5.5S", datetime.timedelta(9, 5.5, hours=3, minutes=4)),
        (datetime.timedelta, "-PT1M", datetime.timedelta(minutes=-1)),
        (uuid.UUID, str(uuid.UUID(int=7)), uuid.UUID(int=7)),
        (decimal.Decimal, "1.50", decimal.Decimal("1.50")),
        (decimal.Decimal, 0.1, decimal.Decimal("0.1")),
        (bytearray, b"ab", bytearray(b"ab")),
        (memoryview, b"ab", memoryview(b"ab")),
        (set, [1, [2, 3]], {1, (2, 3)}),
        (set[int], [1, 1], {1}),
        (frozenset[Path], ["a"], frozenset({Path("a")})),
        (set[tuple[int, Path]], [[1, "a"]], {(1, Path("a"))}),
        (collections.abc.Set, [1], {1}),
        (tuple, [1, 2], (1, 2)),
        (tuple[Path, ...], ["a"], (Path("a"),)),
        (tuple[int, Path], [1, "a"], (1, Path("a"))),
        (tuple[()], [], ()),
        (collections.deque, [1], collections.deque([1])),
        (list[Path], ["a"], [Path("a")]),
        (Sequence[Color], ["red"], [Color.RED]),
        (dict[str, list[Path]], {"k": ["a"]}, {"k": [Path("a")]}),
        (Mapping[Color, int], {"red": 1}, {Color.RED: 1}),
        (typing.Optional[Path], None, None),  # noqa: UP045 - the old spelling is what is tested
        (typing.Optional[Path], "a", Path("a")),  # noqa: UP045
        (int | datetime.date, 5, 5),
        (int | datetime.date, "2024-05-31", datetime.date(2024, 5, 31)),
        (str | Path, "a", "a"),
        (datetime.date | Color | Path, "red", Color.RED),
        (datetime.date | Color | Path, "green", Path("green")),
        (list[Path] | Path, "a", Path("a")),
        (list[Path] | Path, ["a"], [Path("a")]),
        (Path | Sequence[str], "a", Path("a")),
        (Path | Literal["auto"], "auto", "auto"),
        (Path | typing.Protocol, [1], [1]),
        (Literal[Color.RED, "x"], "red", Color.RED),
        (typing.Annotated[typing.NewType("Home", Path), "doc"], "a", Path("a")),
        (Spot, ["a"], Spot(Path("a"))),
        (Spot, {"where": "a", "weight": 2}, Spot(Path("a"), 2)),
        (Point, {"x": 1, "path": "a", "seen": None}, Point(1, Path("a"))),
        (Point, {"x": 1, "seen": "2024-05-31"}, Point(1, seen=datetime.date(2024, 5, 31))),
        (Node, {"color": "red", "children": [{"color": "blue"}]}, Node(Color.RED, [Node(Color.BLUE)])),
        (Sized, {"scale": "1.5"}, Sized(decimal.Decimal("1.5"))),
        (Point | Sized, {"scale": 2}, Sized(decimal.Decimal(2))),
        (list, numpy.arange(3), [0, 1, 2]),
        (list[int], numpy.arange(3), [0, 1, 2]),
        (list[list[int]] | None, numpy.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
        (tuple[float, ...], numpy.arange(2.0), (0.0, 1.0)),
        (set[int], numpy.array([1, 1]), {1}),
        (bytes, bytearray(b"ab"), b"ab"),
        (bytes, memoryview(b"ab"), b"ab"),
    ],
)
def test_value_becomes_what_is_annotated(annotation: Any, value: Any, expected: Any) -> None:
    """Each kind of annotation makes its own of what travelled: the same value, and of the same type."""
    found = converted(annotation, value)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    "annotation",
    [
        *(int, str, float, dict, dict[str, Any], int | str | None, Any, object, typing.TypeVar("T")),
        *(Literal["a"], Sequence[str], Callable, typing.Protocol, complex, "no such name", None),
    ],
)
def test_what_needs_nothing_has_no_converter(annotation: Any) -> None:
    """Parameters whose values come as annotated, and those nothing is known of, cost nothing."""
    assert converter_for(annotation) is None


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Path, Path("a")),
        (Color, Color.RED),
        (datetime.datetime, datetime.datetime(2024, 5, 31)),
        (datetime.timedelta, datetime.timedelta(1)),
        (set, {1}),
        (frozenset, frozenset({1})),
        (tuple, (1,)),
        (Point, Point(1)),
        (typing.Optional[Spot], Spot(Path())),  # noqa: UP045
    ],
)
def test_what_fits_already_is_untouched(annotation: Any, value: Any) -> None:
    """A value of the annotated class is the very same object afterwards."""
    assert converted(annotation, value) is value


@pytest.mark.parametrize(
    ("annotation", "value", "allowed", "reason", "where"),
    [
        (Path, 5, "text (a path)", "", ""),
        (Color, "green", "one of 'red', 'blue', 'RED' (or by name: RED, BLUE, blue)", "", ""),
        (datetime.datetime, "soon", "a datetime as ISO 8601 text, such as 2024-05-31T12:00:00", "", ""),
        (datetime.date, "2024-13-01", "a date as ISO 8601 text, such as 2024-05-31", "month must be in 1..12", ""),
        (datetime.timedelta, "P", "a number of seconds, or a duration as ISO 8601 text, such as P1DT2H30M", "", ""),
        (datetime.timedelta, True, "a number of seconds, or a duration as ISO 8601 text, such as P1DT2H30M", "", ""),
        (set[Path], ["a", 3], "text (a path)", "", "[1]"),
        (set[int], "abc", "a list (for a set)", "", ""),
        (set, [{}], "a list (for a set)", "unhashable type: 'dict'", ""),
        (tuple[int, Path], [1], "a list of 2", "there are 1", ""),
        (dict[str, Path], {"k": 1}, "text (a path)", "", "['k']"),
        (dict[str, Path], [1], "a dict", "", ""),
        (typing.Optional[Path], 5, "text (a path) or None", "", ""),  # noqa: UP045
        (list[Path] | None, [5], "text (a path)", "", "[0]"),
        (Literal[Color.RED, "x"], "y", "one of <Color.RED: 'red'>, 'x'", "", ""),
        (Point, {"x": 1, "z": 2}, "a Point, as a dict of its fields (x, path, seen)", "Point has no field 'z'", ""),
        (Point, {}, "a Point, as a dict of its fields (x, path, seen)", "Point lacks 'x'", ""),
        (Point, {"x": -1}, "a Point, as a dict of its fields (x, path, seen)", "ValueError: x must not be negative", ""),
        (Point, 5, "a Point, as a dict of its fields (x, path, seen)", "", ""),
        (
            Node,
            {"color": "red", "children": [{"color": 3}]},
            "one of 'red', 'blue', 'RED' (or by name: RED, BLUE, blue)",
            "",
            ".children[0].color",
        ),
        (Spot, ["a", 1, 2], "a Spot, as a dict of its fields (where, weight)", "it has 2 fields, not 3", ""),
    ],
)
def test_what_cannot_be_converted_is_told(annotation: Any, value: Any, allowed: str, reason: str, where: str) -> None:
    """The misfit names the part at fault, what could stand there, and what the class itself said."""
    found = misfit(annotation, value)
    assert (found.allowed, found.reason, found.where) == (allowed, reason, where)


def test_numbers_that_no_class_holds_are_misfits() -> None:
    """What a class raises for a value out of its range does not escape."""
    assert misfit(datetime.timedelta, float("inf")).reason == "cannot convert float infinity to integer"
    assert "ConversionSyntax" in misfit(decimal.Decimal, "one").reason
    assert misfit(uuid.UUID, "1234").reason == "badly formed hexadecimal UUID string"


# Whole calls ---------------------------------------------------------------------------------------------------------


def copy(source: Path, *more: Path, when: datetime.date = None, label: str = "", **colors: Color) -> None: ...  # type: ignore[assignment]  # noqa: RUF013


def call(args: dict[str, Any]) -> dict[str, Any]:
    """What the arguments of `copy` become."""
    conversion = conversion_for(copy, describe(copy))
    assert conversion is not None
    return conversion(args)


def test_arguments_of_a_call_are_converted_by_name() -> None:
    """Named ones, those of `*args` and `**kwargs`; what came is not changed."""
    args = {"source": "a", "more": ["b"], "when": None, "label": "red", "first": "red"}
    assert call(args) == {"source": Path("a"), "more": [Path("b")], "when": None, "label": "red", "first": Color.RED}
    assert args == {"source": "a", "more": ["b"], "when": None, "label": "red", "first": "red"}


@pytest.mark.parametrize(
    ("args", "message", "parameter"),
    [
        ({"source": 5}, "copy(): argument 'source' must be text (a path), got int: 5", "source"),
        ({"source": None}, "copy(): argument 'source' must be text (a path), got NoneType: None", "source"),
        ({"more": ["a", 5]}, "copy(): argument 'more' does not fit Path: more[1] must be text (a path), got int: 5", "more"),
        ({"tint": 1}, "copy(): argument 'tint' must be one of 'red', 'blue', 'RED' (or by name: RED, BLUE, blue), got int: 1", "tint"),
    ],
)
def test_a_call_with_a_misfit_is_refused(args: dict[str, Any], message: str, parameter: str) -> None:
    """The error names the tool, the parameter, what came and what is allowed."""
    with pytest.raises(InvalidArgument) as caught:
        call(args)
    assert str(caught.value) == message
    assert caught.value.facts["parameter"] == parameter


def test_a_tool_that_needs_nothing_has_no_conversion(tmp_path: Path) -> None:
    """The loader prepares a conversion for those tools only that need one."""
    file = tmp_path / "adapter_of_paths.py"
    text = "from pathlib import Path\nfrom snakepit_bridge import tool\n"
    file.write_text(text + "class Tools:\n    @tool\n    def a(self, x: Path): ...\n    @tool\n    def b(self, x: int, y): ...\n")
    tools = load([str(file)]).tools
    assert tools["a"].conversion is not None
    assert tools["a"].conversion({"x": "p"}) == {"x": Path("p")}
    assert tools["b"].conversion is None


# Journeys ------------------------------------------------------------------------------------------------------------

JOURNEYS: dict[Any, st.SearchStrategy[Any]] = {
    datetime.datetime: st.datetimes(timezones=st.none() | st.just(UTC)),
    datetime.date: st.dates(),
    datetime.time: st.times(),
    datetime.timedelta: st.timedeltas(),
    uuid.UUID: st.uuids(),
    decimal.Decimal: st.decimals(allow_nan=False),
    frozenset[tuple[int, str]]: st.frozensets(st.tuples(st.integers(-5, 5), st.text(st.characters(exclude_categories=["Cs"])))),
}


@pytest.mark.parametrize("codec", ["msgpack", "json"])
@given(data=st.data())
def test_what_travels_arrives_as_it_was(codec: str, data: st.DataObject) -> None:
    """A value sent by either codec and converted again is the same value."""
    annotation = data.draw(st.sampled_from(list(JOURNEYS)))
    value = data.draw(JOURNEYS[annotation])
    carrier = codec_named(codec)
    assert converted(annotation, carrier.decode(carrier.encode(value))) == value


OLD_SPELLINGS = """
from __future__ import annotations
import dataclasses, datetime, enum, json, pathlib, sys
from typing import *
from snakepit_bridge._runtime.conversion import InvalidArgument, conversion_for
from snakepit_bridge.tool_specs import describe

if TYPE_CHECKING:
    from nowhere import Missing

class Color(enum.Enum):
    RED = "red"

@dataclasses.dataclass
class Node:
    color: Color
    extra: Missing = None
    children: list[Node] = dataclasses.field(default_factory=list)

def tool(a: pathlib.PurePosixPath | None, b: Set[int], c: Tuple[int, ...], d: datetime.datetime, e: Node, f: tuple[Color, int], g: Tuple[()]):
    pass

convert = conversion_for(tool, describe(tool))
node = {"color": "RED", "children": [{"color": "red"}]}
args = {"a": "p", "b": [1], "c": [1, 2], "d": "2024-05-31T12:00:00.25Z", "e": node, "f": ["red", 1], "g": []}
print(json.dumps([repr(value) for value in convert(args).values()]))
try:
    convert({"g": [1]})
except InvalidArgument as error:
    print(error)
"""


def test_conversions_are_the_same_on_old_interpreters(python: str, tmp_path: Path) -> None:
    """New spellings, unknown names and recursive classes are understood on Python 3.8 as well."""
    first, second = run(python, OLD_SPELLINGS, tmp_path).splitlines()
    red = "<Color.RED: 'red'>"
    assert json.loads(first) == [
        "PurePosixPath('p')",
        "{1}",
        "(1, 2)",
        "datetime.datetime(2024, 5, 31, 12, 0, 0, 250000, tzinfo=datetime.timezone.utc)",
        f"Node(color={red}, extra=None, children=[Node(color={red}, extra=None, children=[])])",
        f"({red}, 1)",
        "()",
    ]
    assert second == "tool(): argument 'g' must be a list of 0, got list: [1]"
