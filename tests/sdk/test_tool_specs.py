"""Tool specs: what the host learns of a function from its signature, annotations and docstring."""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime
import decimal
import enum
import functools
import json
import numbers
import typing
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pythons import run
from snakepit_bridge import tool
from snakepit_bridge.tool_specs import call_kind, describe, schema_of

INTEGER, NUMBER, TEXT, NULL = ({"type": name} for name in ("integer", "number", "string", "null"))
BINARY = {"type": "string", "format": "binary"}


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def parameters_of(function: Any, **options: Any) -> dict[str, dict[str, Any]]:
    """A function's parameters as its spec tells them, by name."""
    return {item["name"]: item for item in describe(function, **options)["parameters"]}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (int, INTEGER),
        (float, NUMBER),
        (str, TEXT),
        (bool, {"type": "boolean"}),
        (None, NULL),
        (bytes, BINARY),
        (bytearray, BINARY),
        (memoryview, BINARY),
        (list, {"type": "array"}),
        (dict, {"type": "object"}),
        (tuple, {"type": "array"}),
        (list[int], {"type": "array", "items": INTEGER}),
        (typing.List[int], {"type": "array", "items": INTEGER}),  # noqa: UP006 - the old spelling is what is tested
        (typing.List, {"type": "array"}),  # noqa: UP006
        (tuple[int, ...], {"type": "array", "items": INTEGER}),
        (tuple[int, str], {"type": "array", "items": {"anyOf": [INTEGER, TEXT]}}),
        (collections.abc.Sequence[str], {"type": "array", "items": TEXT}),
        (dict[str, float], {"type": "object", "additionalProperties": NUMBER}),
        (collections.abc.Mapping[str, list[int]], {"type": "object", "additionalProperties": {"type": "array", "items": INTEGER}}),
        (dict[str, Any], {"type": "object"}),
        (typing.Optional[int], {"anyOf": [INTEGER, NULL]}),  # noqa: UP045
        (int | str | None, {"anyOf": [INTEGER, TEXT, NULL]}),
        (typing.Union[int, typing.Union[str, int]], {"anyOf": [INTEGER, TEXT]}),  # noqa: UP007, PYI016
        (int | Any, {}),
        (typing.Literal["a", 1, None], {"enum": ["a", 1, None]}),  # noqa: PYI061
        (Color, {"enum": ["red", "blue"], "names": {"RED": "red", "BLUE": "blue"}}),
        (enum.IntEnum("Level", "LOW HIGH"), {"enum": [1, 2], "names": {"LOW": 1, "HIGH": 2}}),
        (enum.Flag("Bits", "A B"), {}),
        (enum.Enum("Odd", {"A": object()}), {}),
        (typing.NewType("UserId", int), INTEGER),
        (typing.Annotated[int, "metres"], INTEGER),
        (typing.TypedDict("Options", {"a": int}), {"type": "object"}),
        (typing.TypeVar("T"), {}),
        (numbers.Integral, INTEGER),
        (numbers.Real, NUMBER),
        ("int | None", {"anyOf": [INTEGER, NULL]}),
        ("no such name", {}),
        (Any, {}),
        (object, {}),
        (set[int], {"type": "array", "uniqueItems": True, "items": INTEGER}),
        (frozenset, {"type": "array", "uniqueItems": True}),
        (range, {}),
        (Path, {"type": "string", "format": "path"}),
        (datetime.datetime, {"type": "string", "format": "date-time"}),
        (datetime.date, {"type": "string", "format": "date"}),
        (datetime.timedelta, {"anyOf": [NUMBER, {"type": "string", "format": "duration"}]}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (decimal.Decimal, {"type": "string", "format": "decimal"}),
        (typing.Callable, {}),
    ],
)
def test_annotation_says_what_is_allowed(annotation: Any, schema: dict[str, Any]) -> None:
    """Each annotation gives its schema, and one that is unknown or unreadable allows anything."""
    assert schema_of(annotation) == schema


def test_annotation_that_cannot_be_looked_at_allows_anything() -> None:
    """An object whose attributes raise is no obstacle."""

    class Strange:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert schema_of(Strange()) == {}


def test_numpy_annotations_are_known() -> None:
    """NumPy's scalar and array types count as numbers and arrays."""
    np = pytest.importorskip("numpy")
    import numpy.typing  # noqa: F401

    assert schema_of(np.int32) == INTEGER
    assert schema_of(np.float32) == NUMBER
    assert schema_of(np.float64) == NUMBER
    assert schema_of(np.bool_) == {"type": "boolean"}
    assert schema_of(np.ndarray) == {"type": "array"}
    assert schema_of(np.typing.NDArray[np.float64]) == {"type": "array"}
    assert schema_of(np.complex64) == {}


def test_function_gives_a_whole_spec() -> None:
    """A function's name, docstring, parameters and result make up its spec."""

    @tool(idempotent=True, metadata={"unit": "m"})
    def scale(values: list[float], factor: float = 2.0, *, label: str | None = None) -> list[float]:
        """Scale values.

        Slowly.
        """
        return [value * factor for value in values] if label is None else []

    assert describe(scale) == {
        "name": "scale",
        "description": "Scale values.",
        "doc": "Scale values.\n\nSlowly.",
        "streaming": False,
        "asynchronous": False,
        "idempotent": True,
        "metadata": {"unit": "m"},
        "parameters": [
            {
                "name": "values",
                "kind": "positional_or_keyword",
                "required": True,
                "annotation": "list[float]",
                "schema": {"type": "array", "items": NUMBER},
            },
            {
                "name": "factor",
                "kind": "positional_or_keyword",
                "required": False,
                "default": 2.0,
                "annotation": "float",
                "schema": NUMBER,
            },
            {
                "name": "label",
                "kind": "keyword_only",
                "required": False,
                "default": None,
                "annotation": "str | None",
                "schema": {"anyOf": [TEXT, NULL]},
            },
        ],
        "returns": {"type": "array", "items": NUMBER},
    }


def test_decorator_names_and_describes() -> None:
    """What `@tool` was told goes before the function's own name and docstring, and the caller's name before both."""

    @tool(name="other", description="Said here")
    def function() -> None:
        """Said there."""

    assert describe(function)["name"] == "other"
    assert describe(function)["description"] == "Said here"
    assert describe(function, name="third")["name"] == "third"


def test_every_kind_of_parameter_is_told() -> None:
    """Positional-only, keyword-only, *args and **kwargs keep their kinds; the last two are never required."""

    def function(a, /, b, *args: int, c, **kwargs: str) -> None: ...

    told = parameters_of(function)
    assert {name: item["kind"] for name, item in told.items()} == {
        "a": "positional_only",
        "b": "positional_or_keyword",
        "args": "var_positional",
        "c": "keyword_only",
        "kwargs": "var_keyword",
    }
    assert [name for name, item in told.items() if item["required"]] == ["a", "b", "c"]
    assert told["args"]["schema"] == INTEGER
    assert told["a"]["annotation"] == ""


def test_default_none_widens_the_type() -> None:
    """`x: str = None` takes None too, as Python's own habit has it; what takes it already stays."""

    def function(a: str = None, b: int | None = None, c=None, d: typing.Literal["x", None] = None) -> None: ...  # noqa: RUF013, PYI061

    told = parameters_of(function)
    assert told["a"]["schema"] == {"anyOf": [TEXT, NULL]}
    assert told["b"]["schema"] == {"anyOf": [INTEGER, NULL]}
    assert told["c"]["schema"] == {}
    assert told["d"]["schema"] == {"enum": ["x", None]}


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.just(object()) | st.just(Color.RED),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner),
    )
)
def test_any_default_gives_a_spec_that_travels(default: Any) -> None:
    """Whatever a default is, the spec can be written as strict JSON in UTF-8, and the parameter is not required."""

    def function(a: Any = default) -> None: ...

    (told,) = describe(function)["parameters"]
    assert told["required"] is False
    assert json.loads(json.dumps(told, allow_nan=False, ensure_ascii=False).encode("utf-8")) == told


def test_lookalikes_of_plain_defaults_are_left_out() -> None:
    """An enum that is an int, a NumPy scalar, an infinity or a huge int is not told as a default."""
    np = pytest.importorskip("numpy")
    for default in (enum.IntEnum("Level", "LOW")(1), np.float64(1.0), float("inf"), 2**64, "\ud800"):

        def function(a: Any = default) -> None: ...

        assert "default" not in parameters_of(function)["a"]


def test_self_is_left_out() -> None:
    """Taken from its class or from an instance, a method shows no self; a static method keeps all its parameters."""

    class Adapter:
        def method(self, a): ...

        @staticmethod
        def static(me, a): ...

        def odd(this, a): ...  # noqa: N805 - a first parameter of another name

    assert list(parameters_of(Adapter.method)) == ["a"]
    assert list(parameters_of(Adapter().method)) == ["a"]
    assert list(parameters_of(Adapter.static)) == ["me", "a"]
    assert list(parameters_of(Adapter.odd, method=True)) == ["a"]
    assert list(parameters_of(Adapter().odd)) == ["a"]


def test_plain_function_keeps_a_parameter_named_self() -> None:
    """A function outside a class may have a parameter of that name."""

    def function(self, a): ...

    assert list(parameters_of(function)) == ["self", "a"]


def test_names_for_type_checkers_only_do_not_spoil_the_rest() -> None:
    """An annotation whose name is not there at run time allows anything; its neighbours keep their types."""
    namespace: dict[str, Any] = {}
    source = "from __future__ import annotations\ndef f(a: Model, b: int, c: list[Model], d: np.ndarray | None = None): ..."
    exec(source, namespace)
    told = parameters_of(namespace["f"])
    assert {name: item["schema"] for name, item in told.items()} == {"a": {}, "b": INTEGER, "c": {"type": "array"}, "d": {}}
    assert told["a"]["annotation"] == "Model"
    assert told["c"]["annotation"] == "list[Model]"


def test_wrapped_partial_and_callable_objects_show_what_they_take() -> None:
    """functools.wraps, functools.partial and objects with __call__ give the parameters a caller may pass."""

    def base(a: int, b: str = "x") -> None:
        """Base."""

    @functools.wraps(base)
    def wrapper(*args, **kwargs): ...

    class Callable:
        """An object."""

        async def __call__(self, a: int) -> None: ...

    assert parameters_of(wrapper)["a"]["schema"] == INTEGER
    assert list(parameters_of(functools.partial(base, 1))) == ["b"]
    assert describe(functools.partial(base, 1), name="p")["description"] == "Base."
    spec = describe(Callable())
    assert (spec["name"], spec["asynchronous"], [item["name"] for item in spec["parameters"]]) == ("Callable", True, ["a"])


def test_function_that_hides_its_signature_takes_anything() -> None:
    """A built-in function without a signature is told as *args and **kwargs."""
    assert [item["kind"] for item in describe(max)["parameters"]] == ["var_positional", "var_keyword"]


def test_kind_of_function_decides_streaming_and_asynchronous() -> None:
    """Generators stream and coroutines are asynchronous; `supports_streaming` adds to that."""

    def plain(): ...

    def generator():
        yield

    async def coroutine(): ...

    async def async_generator():
        yield

    def facts(function: Any) -> tuple[str, bool, bool]:
        spec = describe(function)
        return call_kind(function), spec["streaming"], spec["asynchronous"]

    assert facts(plain) == ("function", False, False)
    assert facts(generator) == ("generator", True, False)
    assert facts(coroutine) == ("coroutine", False, True)
    assert facts(async_generator) == ("async_generator", True, True)
    assert facts(functools.partial(generator)) == ("generator", True, False)
    assert facts(tool(supports_streaming=True)(lambda: None)) == ("function", True, False)


def test_text_that_is_no_unicode_is_escaped() -> None:
    """A lone surrogate in a docstring does not keep the worker from saying hello."""

    def function(): ...

    function.__doc__ = "bad \ud800 text"
    assert describe(function)["doc"] == "bad \\ud800 text"


def test_dataclass_annotation_allows_objects() -> None:
    """An instance or a dict of its fields may come; which fields, the worker checks."""

    @dataclasses.dataclass
    class Config:
        a: int = 1

    assert schema_of(Config) == {"type": "object", "format": "dataclass"}


NEW_SPELLING = """
from __future__ import annotations
import json
from typing import TYPE_CHECKING
from snakepit_bridge.tool_specs import describe
if TYPE_CHECKING:
    import pandas as pd
def f(a: int | None, b: list[int], c: dict[str, float] | None = None, d: "str | int" = 1, e: pd.DataFrame = None) -> list[str]: ...
spec = describe(f)
print(json.dumps([[item["schema"] for item in spec["parameters"]], spec["returns"]]))
"""


def test_new_spellings_work_on_old_interpreters(python: str, tmp_path: Path) -> None:
    """`int | None` and `list[int]` under `from __future__ import annotations` are understood on Python 3.8 as well."""
    schemas, returns = json.loads(run(python, NEW_SPELLING, tmp_path))
    assert schemas == [
        {"anyOf": [INTEGER, NULL]},
        {"type": "array", "items": INTEGER},
        {"anyOf": [{"type": "object", "additionalProperties": NUMBER}, NULL]},
        {"anyOf": [TEXT, INTEGER]},
        {},
    ]
    assert returns == {"type": "array", "items": TEXT}
