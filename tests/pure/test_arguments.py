"""Arguments: what passes, what is sent, what is refused and in which words; and the specs they are checked against."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import inspect
import pathlib
import pickle
import types
import uuid
from collections.abc import Callable
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit._pool.arguments import bind, check
from snakepit._pool.tools import ParameterSpec, ToolSpec, near_names, parse_tool_specs, unknown_tool
from snakepit.errors import ChannelError, InvalidParameter
from snakepit_bridge.tool_specs import describe


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def spec_of(function: Callable[..., Any]) -> ToolSpec:
    """The spec as it arrives at the host."""
    return parse_tool_specs([describe(function)])[0]


def one(annotation: Any, **options: Any) -> ToolSpec:
    """A tool `f` with one parameter `x`."""

    def f(x): ...

    f.__annotations__["x"] = annotation
    if options:
        f.__defaults__ = (options["default"],)
    return spec_of(f)


def refusal(spec: ToolSpec, args: Any) -> InvalidParameter:
    """The error that these arguments are refused with."""
    with pytest.raises(InvalidParameter) as caught:
        check(spec, args)
    return caught.value


# ── what passes ──────────────────────────────────────────────────────────────────────────────────────────────────────

TYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int": (int, st.integers() | st.booleans()),
    "float": (float, st.floats(allow_nan=False) | st.integers() | st.booleans()),
    "str": (str, st.text()),
    "bool": (bool, st.booleans()),
    "bytes": (bytes, st.binary() | st.binary().map(bytearray)),
    "list[int]": (list[int], st.lists(st.integers()) | st.lists(st.integers()).map(tuple)),
    "dict[str, float]": (dict[str, float], st.dictionaries(st.text(), st.floats(allow_nan=False))),
    "int | None": (int | None, st.none() | st.integers()),
    "Literal": (Literal["a", 1], st.sampled_from(["a", 1])),
    "anything": (Any, st.none() | st.text() | st.lists(st.integers()) | st.just(object())),
    "list[dict[str, int | None]]": (list[dict[str, int | None]], st.lists(st.dictionaries(st.text(), st.none() | st.integers()))),
}


@given(st.sampled_from(sorted(TYPES)), st.data())
def test_what_fits_the_annotation_is_sent_unchanged(name: str, data: st.DataObject) -> None:
    """A value of the annotated type passes and is the very object that was given."""
    annotation, values = TYPES[name]
    value = data.draw(values)
    assert check(one(annotation), {"x": value})["x"] is value


@given(st.sampled_from(sorted(TYPES)), st.sampled_from(sorted(TYPES)), st.data())
def test_a_value_either_passes_or_is_named(wanted: str, given_type: str, data: st.DataObject) -> None:
    """Any value for any annotation gives arguments or an InvalidParameter that names tool, parameter, type and cure."""
    value = data.draw(TYPES[given_type][1])
    spec = one(TYPES[wanted][0])
    error = None
    try:
        assert check(spec, {"x": value}) == {"x": value}
    except InvalidParameter as refused:
        error = refused
    if error is not None:
        assert error.message.startswith("f(): argument 'x' must be ")
        assert error.hint
        assert error.details["parameter"] == "x"
        assert len(error.message) < 300


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (float, 2),
        (float, True),
        (int, True),
        (list, (1, 2)),
        (list[float], [1, 2.5, True]),
        (dict, collections.OrderedDict(a=1)),
        (bytes, memoryview(b"x")),
        (object, object()),
        (set[int], {1, 2}),
        (list[Any], [object()]),
        (Literal[True, "x"], True),
        (collections.abc.Sequence[int], (1, 2)),
    ],
)
def test_python_habits_pass(annotation: Any, value: Any) -> None:
    """What the function itself would take passes: an int for a float, a bool for an int, a tuple for a list."""
    assert check(one(annotation), {"x": value}) == {"x": value}


@pytest.mark.parametrize(
    ("annotation", "value", "sent"),
    [
        (dict, types.MappingProxyType({"a": 1}), {"a": 1}),
        (Color, Color.RED, "red"),
        (Color, "blue", "blue"),
        (Literal[1, 2], 1.0, 1),
    ],
)
def test_near_types_are_sent_as_the_plain_one(annotation: Any, value: Any, sent: Any) -> None:
    """Any mapping is sent as a dict, an enum's member as its value."""
    result = check(one(annotation), {"x": value})["x"]
    assert result == sent
    assert type(result) is type(sent)


def test_numpy_scalars_are_sent_as_numbers() -> None:
    """NumPy's numbers pass as numbers, also in typed lists and dicts and where no type is asked for; arrays pass for lists."""
    np = pytest.importorskip("numpy")
    cases: list[tuple[Any, Any, Any]] = [
        (int, np.int64(3), 3),
        (set[int], {np.int64(3)}, [3]),
        (datetime.datetime, np.datetime64("2024-05-31T12:00:00"), datetime.datetime(2024, 5, 31, 12)),
        (int, np.array(3), 3),
        (float, np.float32(0.5), 0.5),
        (float, np.int8(3), 3),
        (float, np.longdouble(0.5), 0.5),
        (bool, np.bool_(True), True),
        (int | None, np.uint16(3), 3),
        (Literal[1, 2], np.int64(2), 2),
        (Any, np.float32(0.5), 0.5),
        (list[int], [1, np.int64(2)], [1, 2]),
        (dict[str, float], {"a": np.float32(0.5), "b": 1.0}, {"a": 0.5, "b": 1.0}),
        (list[list[int]], [[1], [np.int64(2)]], [[1], [2]]),
    ]
    for annotation, value, sent in cases:
        result = check(one(annotation), {"x": value})["x"]
        assert (result, type(result)) == (sent, type(sent))
    array = np.arange(3)
    assert check(one(list[int]), {"x": array})["x"] is array
    without = np.array(3)
    assert check(one(Any), {"x": without})["x"] is without, "nothing has asked for a number"
    assert refusal(one(int), {"x": np.float64(1.5)}).details["got"] == "float64"
    assert refusal(one(str), {"x": np.int64(1)})
    assert refusal(one(list), {"x": np.array(1)})


def test_given_arguments_are_not_changed() -> None:
    """Conversion makes a new list; the caller's own stays as it was."""
    np = pytest.importorskip("numpy")
    values = [1, np.int64(2)]
    args = {"x": values}
    assert check(one(list[int]), args) is not args
    assert type(values[1]) is np.int64


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("annotation", "value", "message", "hint"),
    [
        (float, "2", "argument 'x' must be float, got str: '2'", "pass a number, for example float(value)"),
        (int, 2.5, "argument 'x' must be int, got float: 2.5", "pass a whole number, for example int(value)"),
        (str, True, "argument 'x' must be str, got bool: True", "pass text, for example str(value)"),
        (str, 10**4000, "argument 'x' must be str, got int: an int of 13288 bits", "pass text, for example str(value)"),
        (
            dict[int, str],
            {2**64: 1},
            "argument 'x' must be dict[int, str]; x[0x10000000000000000] is int: 1",
            "mend that item; an annotation of list or dict without item types takes any",
        ),
        (str, b"raw", "argument 'x' must be str, got bytes: b'raw'", "pass value.decode()"),
        (bool, 1, "argument 'x' must be bool, got int: 1", "pass True or False"),
        (bytes, "text", "argument 'x' must be bytes, got str: 'text'", "pass value.encode()"),
        (list, "text", "argument 'x' must be list, got str: 'text'", "pass a list, for example [value]"),
        (list, {1}, "argument 'x' must be list, got set: {1}", "pass a list, for example list(value)"),
        (dict, [1], "argument 'x' must be dict, got list: [1]", "pass a dict"),
        (Literal["fast", "slow"], "fest", "argument 'x' must be one of 'fast', 'slow', got str: 'fest'", "did you mean 'fast'?"),
        (Literal[1], True, "argument 'x' must be one of 1, got bool: True", "pass one of these values"),
        (Color, "green", "argument 'x' must be one of 'red', 'blue', got str: 'green'", "pass one of these values"),
        (int | None, "1", "argument 'x' must be int | None, got str: '1'", "pass a whole number, for example int(value)"),
        (list[int], [1, "2"], "argument 'x' must be list[int]; x[1] is str: '2'", "mend that item"),
        (
            dict[str, list[int]],
            {"a": [0, None]},
            "argument 'x' must be dict[str, list[int]]; x['a'][1] is NoneType: None",
            "mend that item",
        ),
        (list[int] | None, [0.5], "argument 'x' must be list[int] | None; x[0] is float: 0.5", "mend that item"),
        (int, None, "argument 'x' must be int, got NoneType: None", "Optional"),
    ],
)
def test_ill_typed_argument_is_named(annotation: Any, value: Any, message: str, hint: str) -> None:
    """The error names the tool, the parameter, what came, what is allowed, and how to mend it."""
    error = refusal(one(annotation), {"x": value})
    assert error.message == "f(): " + message
    assert hint in error.hint
    assert error.code == "invalid_parameter"


def test_default_says_what_else_passes() -> None:
    """A default of None lets None pass and is told; any other default is offered in place of None."""
    assert check(one(str, default=None), {"x": None}) == {"x": None}
    assert refusal(one(str, default=None), {"x": 1}).message == "f(): argument 'x' must be str or None, got int: 1"
    assert refusal(one(int, default=3), {"x": None}).hint == "leave it out to get the default, 3"
    assert refusal(one(int, default=object()), {"x": None}).hint == "leave it out to get the default"


def add(a: float, b: float = 2.0) -> None:
    """A tool with one parameter that must be given."""


def anything(first, /, *args: int, count: int = 1, **kwargs: str) -> None:
    """A tool with every kind of parameter."""


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        ({}, "add(): the argument 'a' (float) must be given", "add(a: float, b: float = 2.0)"),
        ({"a": 1, "bb": 2}, "add(): there is no parameter 'bb'", "did you mean 'b'? add(a: float, b: float = 2.0)"),
        ({"a": 1, 2: 3}, "add(): the name of an argument must be text, got int: 2", "add(a: float, b: float = 2.0)"),
        (
            [1, 2],
            "add(): the arguments must be a dict, got list: [1, 2]",
            'pass them by name: {"a": ..., "b": ...}, or by position: pool.tools.add',
        ),
        ("ab", "add(): the arguments must be a dict, got str: 'ab'", 'pass them by name: {"a": ..., "b": ...}'),
    ],
)
def test_wrong_set_of_arguments_is_named(args: Any, message: str, hint: str) -> None:
    """Missing, unknown and unnamed arguments, and arguments that are no mapping, are told with the tool's signature."""
    error = refusal(spec_of(add), args)
    assert error.message == message
    assert error.hint.startswith(hint)


def test_tool_without_parameters_says_so() -> None:
    """An argument for a tool that takes none is not answered with an empty list of parameters."""

    def ping() -> None: ...

    assert check(spec_of(ping), None) == {}
    assert check(spec_of(ping), {}) == {}
    assert refusal(spec_of(ping), {"x": 1}).hint == "the tool takes no arguments"


def test_variable_parameters_take_lists_and_other_names() -> None:
    """*args is a list under its name, **kwargs takes every other name, and both check their annotation."""
    spec = spec_of(anything)
    args = {"first": None, "args": (1, 2), "count": 3, "other": "x"}
    assert check(spec, args) == args
    assert refusal(spec, {"first": 1, "args": [1, "2"]}).message == "anything(): argument 'args' must be a list of int; args[1] is str: '2'"
    assert refusal(spec, {"first": 1, "args": 5}).message == "anything(): argument 'args' must be a list of int, got int: 5"
    assert refusal(spec, {"first": 1, "other": 5}).message == "anything(): argument 'other' must be str, got int: 5"
    assert refusal(spec, {"first": 1, 5: "x"}).message == "anything(): the name of an argument must be text, got int: 5"


def test_only_the_first_items_are_checked() -> None:
    """Of a list the first thousand items are checked, of a list in it the first hundred: a large one costs little."""
    good = [0] * 1000
    assert check(one(list[int]), {"x": [*good, "late"]})
    assert refusal(one(list[int]), {"x": [*good[1:], "late"]})
    assert check(one(list[list[int]]), {"x": [[0] * 100 + ["late"]]})
    assert refusal(one(list[list[int]]), {"x": [[0] * 99 + ["late"]]})


def test_large_values_are_shown_short() -> None:
    """The error's size does not grow with the value's."""
    for value in ("x" * 10**6, b"x" * 10**6, list(range(10**6)), {"k" * 10**5: 1}, 10**4000):
        assert len(refusal(one(bool), {"x": value}).message) < 130


def test_value_that_cannot_be_shown_is_refused_all_the_same() -> None:
    """A value whose repr raises does not hide the error."""

    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "Shy" in refusal(one(int), {"x": Shy()}).message


@dataclasses.dataclass
class Point:
    x: int


NOON = datetime.datetime(2024, 5, 31, 12)


@pytest.mark.parametrize(
    ("annotation", "value", "sent"),
    [
        (pathlib.Path, "a", "a"),
        (pathlib.Path, pathlib.PurePosixPath("a"), "a"),
        (pathlib.Path | None, None, None),
        (Color, Color.RED, "red"),
        (Color, "RED", "red"),
        (Color, "red", "red"),
        (Point, Point(1), Point(1)),
        (Point, {"x": 1}, {"x": 1}),
        (list[Point], [Point(1), {"x": 1}], [Point(1), {"x": 1}]),
        (set, frozenset({1}), frozenset({1})),
        (set[str], ["a"], ["a"]),
        (collections.abc.Set, {1: 2}.keys(), [1]),
        (frozenset, (1,), (1,)),
        (tuple[int, str], (1, "a"), (1, "a")),
        (datetime.datetime, NOON, NOON),
        (datetime.date, "2024-05-31", "2024-05-31"),
        (datetime.time, NOON.time(), NOON.time()),
        (datetime.timedelta, datetime.timedelta(1), datetime.timedelta(1)),
        (datetime.timedelta, 1.5, 1.5),
        (uuid.UUID, uuid.UUID(int=1), uuid.UUID(int=1)),
        (decimal.Decimal, decimal.Decimal("1.5"), decimal.Decimal("1.5")),
        (decimal.Decimal, 1, 1),
    ],
)
def test_what_the_worker_converts_passes(annotation: Any, value: Any, sent: Any) -> None:
    """An instance of what is annotated passes, and so does what it travels as."""
    found = check(one(annotation), {"x": value})["x"]
    assert (found, type(found)) == (sent, type(sent))


@pytest.mark.parametrize(
    ("annotation", "value", "message", "hint"),
    [
        (pathlib.Path, 5, "argument 'x' must be Path, got int: 5", "pass text or a pathlib.Path"),
        (Color, "GREY", "argument 'x' must be one of 'red', 'blue', got str: 'GREY'", "pass one of these values"),
        (Color, "BLU", "argument 'x' must be one of 'red', 'blue', got str: 'BLU'", "did you mean 'BLUE'?"),
        (datetime.date, 5, "argument 'x' must be date, got int: 5", "pass a date, or ISO 8601 text such as 2024-05-31"),
        (set[int], "ab", "argument 'x' must be set[int], got str: 'ab'", "pass a list, for example [value]"),
        (set[int], {"a"}, "argument 'x' must be set[int]; x[0] is str: 'a'", "mend that item; an annotation of list or dict"),
        (Point, 5, "argument 'x' must be Point, got int: 5", "pass a dict"),
        (Point, Point, "argument 'x' must be Point, got type: <class 'test_arguments.Point'>", "pass a dict"),
    ],
)
def test_what_the_worker_cannot_convert_is_refused(annotation: Any, value: Any, message: str, hint: str) -> None:
    """What no conversion takes is told before anything is sent."""
    error = refusal(one(annotation), {"x": value})
    assert error.message == f"f(): {message}"
    assert error.hint.startswith(hint)


def test_schema_of_a_newer_worker_lets_values_pass() -> None:
    """A schema this host does not understand refuses nothing; the worker knows better."""
    for schema in ({"type": "date"}, {"type": ["integer", "null"]}, {"anyOf": "text"}, {"anyOf": [5]}, {"$ref": "#/x"}, {"enum": 5}):
        spec = ToolSpec("f", parameters=(ParameterSpec("x", schema=schema),))
        value = object()
        assert check(spec, {"x": value})["x"] is value


# ── binding ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def model(a, b=1, /, c=2, *rest, d, e=3, **extra):
    """Python's own binding, to compare with."""
    return locals()


NAMES = st.sampled_from(["c", "d", "e", "x", "y"])


@given(st.lists(st.integers(), max_size=6), st.dictionaries(NAMES, st.integers()))
def test_binding_is_pythons_own(args: list[int], kwargs: dict[str, int]) -> None:
    """`bind` and `check` accept exactly the calls that Python accepts, and give each parameter the same value."""
    spec = spec_of(model)
    try:
        expected = model(*args, **kwargs)
    except TypeError:
        with pytest.raises(InvalidParameter):
            check(spec, bind(spec, args, kwargs))
        return
    sent = check(spec, bind(spec, args, kwargs))
    rest, extra = expected.pop("rest"), expected.pop("extra")
    defaults = {"b": 1, "c": 2, "e": 3}
    named = {name: sent.pop(name, defaults.get(name)) for name in expected}
    assert named == expected
    assert tuple(sent.pop("rest", ())) == rest
    assert sent == extra


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((1, 2, 3), {}, "add(): too many positional arguments"),
        ((1,), {"a": 2}, "add(): multiple values for argument 'a'"),
        ((1,), {"bb": 2}, "add(): there is no parameter 'bb'"),
    ],
)
def test_call_that_does_not_fit_the_signature_is_named(args: tuple[Any, ...], kwargs: dict[str, Any], message: str) -> None:
    """A call with too many, doubled or unknown arguments says which, and how the tool is called."""
    with pytest.raises(InvalidParameter) as caught:
        bind(spec_of(add), args, kwargs)
    assert caught.value.message == message
    assert "add(a: float, b: float = 2.0)" in caught.value.hint


def test_name_that_would_be_taken_for_another_is_refused() -> None:
    """A keyword that Python would put into **kwargs beside a positional-only parameter of the same name cannot travel."""
    for name in ("first", "args"):
        with pytest.raises(InvalidParameter, match=f"'{name}' is not a keyword here"):
            bind(spec_of(anything), (1,), {name: 2})


def test_missing_arguments_are_left_to_check() -> None:
    """Binding does not complain of a missing argument; the check after it does, in its own words."""
    assert bind(spec_of(add), (), {"b": 1}) == {"b": 1}


# ── specs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_signature_reads_as_written() -> None:
    """A spec's signature shows annotations without quotes, and `...` for a default that did not travel."""
    hidden = object()

    def f(a: list[int], b: Any = hidden, *args: int, c: str = "x", **kwargs) -> None: ...

    assert str(spec_of(f).signature) == "(a: list[int], b: Any = ..., *args: int, c: str = 'x', **kwargs)"


def test_specs_are_values() -> None:
    """Specs compare, hash, and survive pickling, also after they have been used."""
    spec = spec_of(anything)
    check(spec, {"first": 1})
    assert str(spec.signature)
    copy = pickle.loads(pickle.dumps(spec))
    assert copy == spec
    assert hash(copy) == hash(spec)
    assert check(copy, {"first": 1}) == {"first": 1}
    with pytest.raises(AttributeError):
        spec.name = "other"  # type: ignore[misc]


def test_spec_tells_all_that_was_announced() -> None:
    """What the worker says of a tool arrives in the spec's fields; keys that are not known are skipped."""
    raw = {**describe(add, name="plus"), "colour": "new"}
    raw["parameters"][0]["colour"] = "new"
    (spec,) = parse_tool_specs([raw])
    assert (spec.name, spec.streaming, spec.idempotent, spec.metadata, spec.returns) == ("plus", False, False, {}, {"type": "null"})
    assert [parameter.name for parameter in spec.parameters] == ["a", "b"]
    assert spec.parameters[0].default is inspect.Parameter.empty
    assert spec.parameters[1] == ParameterSpec("b", "positional_or_keyword", False, 2.0, "float", {"type": "number"})


def edited(path: list[Any], value: Any) -> list[Any]:
    """A list of one good spec with one part of it changed; `...` removes it."""
    raw: Any = [describe(add)]
    target = raw
    for key in path[:-1]:
        target = target[key]
    if value is ...:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return raw


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (None, "announced tools as NoneType, expected list"),
        ({}, "announced tools as dict, expected list"),
        ([5], "announced tools[0] as int, expected dict"),
        (edited([0, "name"], ...), "announced tools[0] without 'name'"),
        (edited([0, "name"], ""), "tools[0].name is empty"),
        (edited([0, "streaming"], 1), "announced tool 'add'.streaming as int, expected bool"),
        (edited([0, "metadata"], {"a": 1}), "announced tool 'add': metadata['a'] as int, expected str"),
        (edited([0, "metadata"], {1: "a"}), "announced tool 'add': a key of metadata as int, expected str"),
        (edited([0, "parameters"], {}), "announced tool 'add'.parameters as dict, expected list"),
        (edited([0, "parameters", 1], "b"), "announced tool 'add': parameters[1] as str, expected dict"),
        (edited([0, "parameters", 1, "kind"], "optional"), "parameters[1].kind as 'optional'; allowed are positional_only, "),
        (edited([0, "parameters", 1, "schema"], []), "announced tool 'add': parameters[1].schema as list, expected dict"),
        (edited([0, "parameters", 1, "name"], "a"), "announced tool 'add' with an impossible signature: duplicate parameter name"),
        (edited([0, "parameters", 1, "name"], "not a name"), "with an impossible signature: "),
        ([describe(add), describe(add)], "announced two tools named 'add'"),
    ],
)
def test_malformed_spec_is_named(raw: Any, message: str) -> None:
    """A spec with a missing, ill-typed or impossible part says which part it is."""
    with pytest.raises(ChannelError) as caught:
        parse_tool_specs(raw)
    assert message in caught.value.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
FIELDS = ["name", "kind", "required", "default", "annotation", "schema"]


@given(st.sampled_from([[0], [0, "name"], [0, "parameters"], [0, "returns"], *([0, "parameters", 1, field] for field in FIELDS)]), JSON)
def test_no_announcement_breaks_the_host(path: list[Any], value: Any) -> None:
    """Whatever stands in a part of a spec, it is read or refused, and what was read can be used to check a call."""
    try:
        specs = parse_tool_specs(edited(path, value))
    except ChannelError:
        return
    for spec in specs:
        with contextlib.suppress(InvalidParameter):
            check(spec, {"a": 1, "b": value})


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_near_names_ignore_case_and_order_by_nearness() -> None:
    """Names that look alike are found, nearest first; others are not."""
    known = ["stream_progress", "progress_stream", "ping", "PING_stream"]
    assert near_names("Ping", known)[0] == "ping"
    assert near_names("ping_stream", known)[0] == "PING_stream"
    assert near_names("zzz", known) == []


def test_unknown_tool_names_what_there_is() -> None:
    """The error shows near names first, then what the pool offers, cut short when that is much."""
    error = unknown_tool("pong", ["ping", "echo"])
    assert error.message == "no worker of this pool offers a tool named 'pong'"
    assert error.hint == "did you mean 'ping'? there are: echo, ping"
    assert (error.code, error.details["known"]) == ("unknown_tool", ["echo", "ping"])
    assert unknown_tool("x", [f"tool_{number:02}" for number in range(20)]).hint.endswith("tool_11, and 8 more")
    assert unknown_tool("x", []).hint == "it offers no tools at all"
    assert unknown_tool(5, ["ping"]).message == "a tool is named by text, not by int"
    assert unknown_tool(len, ["ping", "pong"]).hint == "give one of ping, pong; plain functions are run by pool.as_executor()"
    assert unknown_tool(len, ["len", "pong"]).hint == 'give "len"'
