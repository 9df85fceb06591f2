"""The tools a pool's workers offer, as the host knows them, and the errors for names nobody offers.

`parse_tool_specs` reads what a worker's `hello` brought and trusts nothing in it; the results are frozen and public.
"""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from snakepit.errors import ChannelError, UnknownTool
from snakepit_bridge.frozen import freeze

from .tool_limits import check_limits, check_number

T = TypeVar("T")

_P = inspect.Parameter
_KINDS = {
    kind.name.lower(): kind for kind in (_P.POSITIONAL_ONLY, _P.POSITIONAL_OR_KEYWORD, _P.VAR_POSITIONAL, _P.KEYWORD_ONLY, _P.VAR_KEYWORD)
}
_NAMES_SHOWN = 12
_NAME_SHOWN = 200  # characters


class _Text(str):
    """Shows itself without quotes, so that a signature reads `(a: float)` although the annotation is text."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


#: Stands for a default value that the worker has and cannot tell, such as an open file or a tuple.
HIDDEN_DEFAULT = _Text("...")


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter of a tool.

    Attributes:
        name: as in the tool's signature.
        kind: `positional_only`, `positional_or_keyword`, `keyword_only`, `var_positional` or `var_keyword`.
        required: must a call give it?
        default: the default value; `inspect.Parameter.empty` if there is none, or none that travels.
        annotation: the annotation as text, or an empty string.
        schema: what values are allowed, as a part of JSON Schema; empty allows anything.
        pickled: may what is given come as a pickle, if the pool allows that too?
    """

    name: str
    kind: str = "positional_or_keyword"
    required: bool = True
    default: Any = inspect.Parameter.empty
    annotation: str = ""
    schema: Mapping[str, Any] = field(default_factory=dict, hash=False)
    pickled: bool = False

    @property
    def json_schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema, with its default."""
        schema: Any = {"type": "array", "items": self.schema} if self.kind == "var_positional" else self.schema
        default = {} if self.default is inspect.Parameter.empty else {"default": self.default}
        return {**schema, **default}

    def to_dict(self) -> dict[str, Any]:
        """A plain copy; without `default` where there is none that travels."""
        told = {"name": self.name, "kind": self.kind, "required": self.required, "annotation": self.annotation}
        default = {} if self.default is inspect.Parameter.empty else {"default": copy.deepcopy(self.default)}
        return {**told, "schema": copy.deepcopy(self.schema), **default, **({"pickled": True} if self.pickled else {})}


class _Computed:
    """What is computed of a spec once, beside its fields: not compared, copied or pickled with it."""

    __slots__ = ("_pickled", "_plan", "_signature")


@dataclass(frozen=True, slots=True)  # slots: `vars(spec)` would be a way to change it
class ToolSpec(_Computed):
    """One tool of a pool.

    Attributes:
        name: what calls name it by.
        description: one sentence.
        doc: the full docstring.
        streaming: does it give chunks?
        asynchronous: does it run in the worker's event loop?
        idempotent: may a call that a crash cut off be run again?
        metadata: what its author added, text by name.
        parameters: in the order of its signature, without `self`.
        returns: the schema of the result; empty if unknown.
        source: `worker`: workers offer it; `host`: the application does, to tools.
        session_id: the session it is offered to alone; empty: to all calls.
    """

    name: str
    description: str = ""
    doc: str = ""
    streaming: bool = False
    asynchronous: bool = False
    idempotent: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    parameters: tuple[ParameterSpec, ...] = field(default=(), hash=False)
    returns: Mapping[str, Any] = field(default_factory=dict, hash=False)
    source: str = "worker"
    session_id: str = ""

    @property
    def json_schema(self) -> Mapping[str, Any]:
        """All its parameters as one JSON Schema, as those who serve tools to agents want it; frozen."""
        named = [item for item in self.parameters if item.kind != "var_keyword"]
        extra = [item.schema for item in self.parameters if item.kind == "var_keyword"]
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {item.name: item.json_schema for item in named},
            "required": [item.name for item in named if item.required],
            "additionalProperties": (extra[0] or True) if extra else False,
        }
        return freeze(schema)  # type: ignore[no-any-return]

    def to_dict(self) -> dict[str, Any]:
        """A plain copy, which is the caller's own and which JSON can hold."""
        told = {item.name: copy.deepcopy(getattr(self, item.name)) for item in fields(self) if item.name != "parameters"}
        return {**told, "parameters": [item.to_dict() for item in self.parameters]}

    @property
    def signature(self) -> inspect.Signature:
        """The tool's signature; annotations are text, and a default that could not travel shows as `...`."""
        known: inspect.Signature | None = getattr(self, "_signature", None)
        if known is None:
            known = inspect.Signature([_signature_parameter(item) for item in self.parameters])
            object.__setattr__(self, "_signature", known)
        return known

    @property
    def pickled(self) -> frozenset[str]:
        """The names of the parameters that may come as pickles."""
        known: frozenset[str] | None = getattr(self, "_pickled", None)
        if known is None:
            known = frozenset(item.name for item in self.parameters if item.pickled)
            object.__setattr__(self, "_pickled", known)
        return known

    def picture(self) -> ToolSpec:
        """One to give out: it shares nothing with this one, whatever is done to it."""
        parameters = tuple(replace(item, default=freeze(item.default), schema=freeze(item.schema)) for item in self.parameters)
        return replace(self, metadata=freeze(self.metadata), parameters=parameters, returns=freeze(self.returns))


def parse_tool_specs(raw: Any) -> tuple[ToolSpec, ...]:
    """Read the tool specs of a worker's `hello`. Keys that are not known are skipped: the worker may be newer.

    Raises:
        ChannelError: something is missing or of the wrong kind; the message says what and where.
        InvalidToolSpec: a tool goes beyond the limits of `tool_limits`.
    """
    listed = _of_type(raw, list, "tools")
    check_number(listed)
    specs = tuple(check_limits(_tool(item, f"tools[{index}]")) for index, item in enumerate(listed))
    seen: set[str] = set()
    for spec in specs:
        if spec.name in seen:
            raise ChannelError(f"the worker announced two tools named {spec.name!r}")
        seen.add(spec.name)
    return specs


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three known names that look like `name`, nearest first; letter case does not matter."""
    by_lower = {item.lower(): item for item in known}
    return [by_lower[item] for item in difflib.get_close_matches(str(name).lower(), list(by_lower), n=3, cutoff=0.6)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for names that look like this one, else an empty string."""
    near = near_names(name, known)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else ""


def unknown_tool(name: Any, known: Iterable[str]) -> UnknownTool:
    """The error for a call to a tool that no worker offers."""
    names = sorted(known)
    if not isinstance(name, str):
        own = getattr(name, "__name__", "")
        example = f'"{own}"' if own in names else f"one of {', '.join(names[:_NAMES_SHOWN])}" if names else "a name"
        beside = "; plain functions are run by pool.as_executor()" if callable(name) and own not in names else ""
        return UnknownTool(
            f"a tool is named by text, not by {type(name).__name__}",
            hint=f"give {example}{beside}",
            tool=repr(name),
        )
    shown = ", ".join(names[:_NAMES_SHOWN]) + (f", and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else "")
    there = f"there are: {shown}" if names else "it offers no tools at all"
    hint = " ".join(part for part in (did_you_mean(name, names), there) if part)
    shown_name = repr(name) if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]!r}..."
    return UnknownTool(f"no worker of this pool offers a tool named {shown_name}", hint=hint, tool=name, known=names)


def _signature_parameter(spec: ParameterSpec) -> inspect.Parameter:
    default = spec.default
    if default is inspect.Parameter.empty and not spec.required and not spec.kind.startswith("var_"):
        default = HIDDEN_DEFAULT
    annotation = _Text(spec.annotation) if spec.annotation else inspect.Parameter.empty
    return inspect.Parameter(spec.name, _KINDS[spec.kind], default=default, annotation=annotation)


def _tool(raw: Any, where: str) -> ToolSpec:
    raw = _of_type(raw, dict, where)
    name = _field(raw, "name", str, where)
    if not name:
        raise ChannelError(f"the worker announced a tool without a name: {where}.name is empty")
    where = f"tool {name!r}"
    metadata = _field(raw, "metadata", dict, where, {})
    for key, value in metadata.items():
        _of_type(key, str, f"{where}: a key of metadata")
        _of_type(value, str, f"{where}: metadata[{key!r}]")
    listed = _field(raw, "parameters", list, where)
    spec = ToolSpec(
        name=name,
        description=_field(raw, "description", str, where, ""),
        doc=_field(raw, "doc", str, where, ""),
        streaming=_field(raw, "streaming", bool, where),
        asynchronous=_field(raw, "asynchronous", bool, where, False),
        idempotent=_field(raw, "idempotent", bool, where, False),
        metadata=freeze(metadata),
        parameters=tuple(_parameter(item, f"{where}: parameters[{index}]") for index, item in enumerate(listed)),
        returns=freeze(_field(raw, "returns", dict, where, {})),
    )
    try:
        spec.signature  # noqa: B018 - made now, so that an impossible order of parameters is the worker's fault, not a caller's.
    except (ValueError, TypeError) as error:
        raise ChannelError(f"the worker announced {where} with an impossible signature: {error}") from error
    return spec


def _parameter(raw: Any, where: str) -> ParameterSpec:
    raw = _of_type(raw, dict, where)
    name = _field(raw, "name", str, where)
    kind = _field(raw, "kind", str, where)
    if kind not in _KINDS:
        raise ChannelError(f"the worker announced {where}.kind as {kind!r}; allowed are {', '.join(_KINDS)}")
    return ParameterSpec(
        name=name,
        kind=kind,
        required=_field(raw, "required", bool, where),
        default=freeze(raw.get("default", inspect.Parameter.empty)),
        annotation=_field(raw, "annotation", str, where, ""),
        schema=freeze(_field(raw, "schema", dict, where, {})),
        pickled=_field(raw, "pickled", bool, where, False),
    )


_MISSING: Any = object()


def _field(raw: dict[str, Any], key: str, kind: type[T], where: str, default: Any = _MISSING) -> T:
    value = raw.get(key, default)
    if value is _MISSING:
        raise ChannelError(f"the worker announced {where} without {key!r}", hint="are snakepit and snakepit_bridge of one version?")
    return _of_type(value, kind, f"{where}.{key}")


def _of_type(value: Any, kind: type[T], where: str) -> T:
    if not isinstance(value, kind):
        raise ChannelError(f"the worker announced {where} as {type(value).__name__}, expected {kind.__name__}")
    return value
