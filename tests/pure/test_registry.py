"""The tool registry: scopes, duplicates, limits; and specs that nobody can change."""

from __future__ import annotations

import copy
import dataclasses
import functools
import inspect
import json
import pickle
from typing import Any

import pytest

import snakepit
from snakepit import InvalidToolSpec
from snakepit._pool.host_tools.offers import Offers
from snakepit._pool.registry import ToolRegistry, spec_of
from snakepit._pool.tools import parse_tool_specs
from snakepit_bridge.tool_specs import describe


def train(epochs: int, rate: float = 0.1, layers: list[int] = [1, 2], *names: str, **more: str) -> dict[str, float]:  # noqa: B006
    """Train a model.

    With a second paragraph.
    """
    return {}


def _spec(**changes: Any) -> snakepit.ToolSpec:
    (spec,) = parse_tool_specs([{**describe(train), **changes}])
    return spec


# scopes ------------------------------------------------------------------------------------------------------------------


def test_a_session_sees_its_own_first() -> None:
    """A session's function shadows the general one of that name, for its calls only, until the session ends."""
    registry = ToolRegistry()
    general, own = spec_of(lambda: 1, name="greet"), spec_of(lambda: 2, name="greet", session_id="s")
    registry.add_host_tool(general)
    registry.add_host_tool(own, "s")
    registry.add_host_tool(spec_of(len, name="only"), "s")
    assert registry.host_tool("greet") is general
    assert registry.host_tool("greet", "s") is own
    assert registry.host_tool("only") is None
    assert [spec.name for spec in registry.host_tools("s")] == ["greet", "only"]
    assert registry.host_tools("s")[0] is own
    assert registry.host_tools() == (general,)
    registry.drop_session("s")
    assert registry.host_tool("greet", "s") is general
    assert registry.host_tools("s") == (general,)


def test_a_name_is_taken_once_per_scope() -> None:
    """A duplicate is refused by name, with what is there; once that has been removed the name is free."""
    registry = ToolRegistry()
    registry.add_host_tool(spec_of(train))
    with pytest.raises(InvalidToolSpec, match="this pool has a host tool named 'train' already") as caught:
        registry.add_host_tool(spec_of(train))
    assert caught.value.code == "duplicate_tool"
    registry.add_host_tool(spec_of(train, session_id="s"), "s")
    with pytest.raises(InvalidToolSpec, match="session 's' has"):
        registry.add_host_tool(spec_of(train, session_id="s"), "s")
    assert registry.remove_host_tool("train") is True
    assert registry.remove_host_tool("train") is False
    registry.add_host_tool(spec_of(train))


def test_workers_tools_are_replaced_as_a_whole() -> None:
    """What the next worker tells takes the place of all; the mapping given out before stays as it was."""
    registry = ToolRegistry()
    registry.set_worker_tools([_spec(name="a"), _spec(name="b")])
    before = registry.worker_tools
    registry.set_worker_tools([_spec(name="c")])
    assert list(before) == ["a", "b"]
    assert [spec.name for spec in registry.snapshot()] == ["c"]
    with pytest.raises(TypeError):
        registry.worker_tools["x"] = _spec()  # type: ignore[index]


def test_the_snapshot_has_both_kinds() -> None:
    """Workers' tools and the application's, told apart by `source`."""
    registry = ToolRegistry()
    registry.set_worker_tools([_spec()])
    registry.add_host_tool(spec_of(len, name="size"))
    assert [(spec.name, spec.source) for spec in registry.snapshot()] == [("train", "worker"), ("size", "host")]


# specs -------------------------------------------------------------------------------------------------------------------


def test_what_a_spec_tells() -> None:
    """Name, description, parameters with types, defaults and JSON Schema, whether it streams."""
    spec = spec_of(train, description="Another one")
    assert (spec.name, spec.description, spec.streaming, spec.source) == ("train", "Another one", False, "host")
    assert str(spec.signature) == "(epochs: int, rate: float = 0.1, layers: list[int] = [1, 2], *names: str, **more: str)"
    assert spec.json_schema == {
        "type": "object",
        "properties": {
            "epochs": {"type": "integer"},
            "rate": {"type": "number", "default": 0.1},
            "layers": {"type": "array", "items": {"type": "integer"}, "default": [1, 2]},
            "names": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["epochs"],
        "additionalProperties": {"type": "string"},
    }
    assert json.loads(json.dumps(spec.json_schema)) == spec.json_schema
    assert json.loads(json.dumps(spec.to_dict()))["parameters"][1]["default"] == 0.1
    assert spec_of(len).json_schema["additionalProperties"] is False


def _doors(spec: snakepit.ToolSpec) -> list[Any]:
    layers = spec.parameters[2]
    return [
        spec.metadata,
        spec.returns,
        layers.schema,
        layers.schema["items"],
        layers.default,
        spec.json_schema,
        spec.json_schema["required"],
    ]


@pytest.mark.parametrize("door", range(7))
def test_nothing_in_a_spec_can_be_changed(door: int) -> None:
    """Neither its attributes nor what they hold, at any depth."""
    spec = _spec(metadata={"k": "v"})
    opened = _doors(spec)[door]
    before = copy.deepcopy(opened)
    attacks: dict[str, Any] = {
        "__init__": ({"x": 1},),
        "clear": (),
        "pop": (),
        "__iadd__": ([1],),
        "__setitem__": (0, 1),
        "__delitem__": (0,),
        "__ior__": ({"x": 1},),
    }
    attacks |= {"update": ({"x": 1},), "append": (1,), "sort": (), "setdefault": ("x", 1)}
    for method, args in attacks.items():
        with pytest.raises((TypeError, AttributeError)):
            getattr(opened, method)(*args)
    assert opened == before
    with pytest.raises(AttributeError):
        spec.name = "other"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        spec.parameters[0].required = False  # type: ignore[misc]
    with pytest.raises(TypeError):
        vars(spec)["streaming"] = True


def test_a_picture_shares_nothing_with_its_spec() -> None:
    """Not even by the methods of `dict` itself, which know no frozen ones."""
    spec = _spec(metadata={"k": "v"}, returns={"type": "object"})
    before = spec.to_dict()
    for opened in _doors(spec.picture()):
        dict.clear(opened) if isinstance(opened, dict) else list.clear(opened)
    assert spec.to_dict() == before
    assert spec.picture() == spec
    assert str(spec.picture().signature) == str(spec.signature)


def test_a_copy_is_the_callers_own() -> None:
    """`to_dict`, `deepcopy` and pickling give plain values that can be changed, without reaching the spec."""
    spec = _spec(metadata={"k": "v"})
    told = spec.to_dict()
    told["metadata"]["k"] = "changed"
    told["parameters"][2]["schema"]["items"]["type"] = "changed"
    assert spec.metadata == {"k": "v"}
    assert spec.parameters[2].schema["items"] == {"type": "integer"}
    again = pickle.loads(pickle.dumps(spec))
    assert again == spec
    assert type(copy.deepcopy(spec.parameters[2].default)) is list
    assert spec.signature.parameters["layers"].default == [1, 2]


def _parameter(**changes: Any) -> dict[str, Any]:
    return {"parameters": [{"name": "p", "kind": "keyword_only", "required": False, **changes}]}


# limits ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "x" * 129}, r"a tool's name is 'x+'... \(129 characters\); allowed are 1 to 128"),
        ({"name": " padded"}, "' padded'; allowed"),
        ({"name": "two\nlines"}, "printable"),
        ({"description": "x" * 5000}, "tool 'train': description has 5000 characters; allowed are 4096"),
        ({"metadata": {str(n): "v" for n in range(65)}}, "metadata has 65 entries; allowed are 64"),
        ({"metadata": {"k" * 129: "v"}}, "a key of metadata"),
        ({"metadata": {"k": "v" * 5000}}, r"metadata\['k'\] has 5000 characters"),
        ({"parameters": [{"name": f"p{n}", "kind": "keyword_only", "required": True} for n in range(257)]}, "parameters has 257 entries"),
        (_parameter(name="p" * 129), "tool 'train': a parameter's name, 'p{20}'..., has 129 characters; allowed are 128"),
        (_parameter(annotation="x" * 16_385), "tool 'train': the annotation of 'p' has 16385 characters; allowed are 16384"),
        (_parameter(default="x" * 5_000_000), "tool 'train': the default of 'p' has 5000005 bytes; allowed are 65536"),
        (_parameter(default=[[0] * 1000] * 70), "the default of 'p' has 70"),
        (_parameter(schema={"enum": ["x" * 70_000]}), "tool 'train': the schema of 'p' has 70"),
        ({"returns": {"enum": ["x" * 70_000]}}, "tool 'train': returns has 70"),
        ({"parameters": [_parameter(name=f"p{n}", default="x" * 60_000)["parameters"][0] for n in range(20)]}, "hold together has 12"),
    ],
)
def test_what_is_too_large_is_refused(changes: dict[str, Any], message: str) -> None:
    """By the tool's name and the field's, with what was found and what is allowed."""
    with pytest.raises(InvalidToolSpec, match=message):
        _spec(**changes)


def test_host_tools_that_are_too_large_are_refused() -> None:
    """By the same bounds, found from the function itself; an annotation is cut, like a docstring."""

    def default(a: str = "x" * 5_000_000) -> None: ...

    def annotated(**names: int) -> None: ...

    annotated.__annotations__ = {"names": "z" * 5_000_000}
    with pytest.raises(InvalidToolSpec, match="'default': the default of 'a' has"):
        spec_of(default)
    assert len(spec_of(annotated).parameters[0].annotation) <= 16_384


def test_a_worker_offers_a_bounded_number_of_tools() -> None:
    """As many as are allowed, and not one more."""
    told = describe(train)
    assert len(parse_tool_specs([{**told, "name": f"t{n}"} for n in range(1000)])) == 1000
    with pytest.raises(InvalidToolSpec, match="the worker offers 1001 tools; allowed are 1000"):
        parse_tool_specs([{**told, "name": f"t{n}"} for n in range(1001)])


def test_an_application_offers_a_bounded_number_of_host_tools() -> None:
    """For all calls, and again for each session; one that is taken back makes room."""
    registry = ToolRegistry()
    spec = spec_of(len)
    for session_id, where in (("", "this pool"), ("s", "session 's'"), ("t", "session 't'")):
        for number in range(1000):
            registry.add_host_tool(dataclasses.replace(spec, name=f"t{number}"), session_id)
        with pytest.raises(InvalidToolSpec, match=f"{where} has 1000 host tools, which is all that is allowed; 'len' would be one more"):
            registry.add_host_tool(spec, session_id)
        assert registry.remove_host_tool("t0", session_id)
        registry.add_host_tool(spec, session_id)


def test_a_long_docstring_is_cut() -> None:
    """It is no fault of the tool."""
    assert len(_spec(doc="x" * 100_000).doc) == 64 * 1024


@pytest.mark.parametrize("function", ["train", 5, None])
def test_what_is_no_function_is_refused(function: Any) -> None:
    """With its type."""
    with pytest.raises(InvalidToolSpec, match=f"a host tool is a function, not a {type(function).__name__}"):
        spec_of(function)


def test_kinds_of_functions() -> None:
    """Generators stream, coroutine functions run on the loop, bound methods have no `self`."""

    class Desk:
        async def rows(self, count: int) -> Any:
            yield count

        def plain(self, value: bytes) -> bytes:
            return value

    rows, plain = spec_of(Desk().rows), spec_of(Desk().plain)
    assert (rows.streaming, rows.asynchronous) == (True, True)
    assert (plain.streaming, plain.asynchronous) == (False, False)
    assert list(plain.signature.parameters) == ["value"]
    assert plain.signature.parameters["value"].default is inspect.Parameter.empty


class Desk:
    """Has a method that may be offered."""

    def ask(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda: 1, {}, r"needs a name, and <function .*<lambda>.* has no name of its own\n.*name="),
        (functools.partial(train, 1), {}, "has no name of its own"),
        (train, {"name": ""}, "a host tool needs a name, and its name is ''"),
        (train, {"name": 5}, "a host tool's name is a int"),
        (train, {"description": 4}, "a host tool's description is a int; allowed is text"),
        (train, {"name": "x" * 129}, r"\(129 characters\)"),
        (Desk, {}, r"a host tool is a function, not the class Desk\n.*its method"),
    ],
)
def test_what_cannot_be_offered(function: Any, options: dict[str, Any], message: str) -> None:
    """The message speaks of the application's own function, and says what to give instead."""
    with pytest.raises(InvalidToolSpec, match=message) as caught:
        spec_of(function, **options)
    assert "the worker" not in str(caught.value)


def test_what_is_taken_back() -> None:
    """By name, or by function: from the scope that is named, under whatever names it has there."""
    offers, desk = Offers(), Desk()
    for name, session in (("a", ""), ("b", ""), ("c", "s")):
        offers.register(desk.ask, name, "", session)
    offers.register(train, None, "", "")
    assert offers.unregister(desk.ask, "") is True
    assert [spec.name for spec in offers.known("s")] == ["c", "train"]
    assert offers.unregister(desk.ask, "") is False
    assert offers.unregister("c", "s") is True
    assert offers.unregister("c", "s") is False
    with pytest.raises(InvalidToolSpec, match="by its name or its function, not by a int"):
        offers.unregister(5, "")  # type: ignore[arg-type]
