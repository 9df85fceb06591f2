"""A call's arguments, checked against the tool's signature before anything is sent.

`check` follows Python's habits: what the function would take without complaint passes. It is on the way of every call,
so a tool's checks are prepared once, and an argument of exactly the expected type costs one look-up. `bind` turns
`pool.tools.add(2, b=3)` into arguments by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from snakepit._pool import argument_errors as errors
from snakepit._pool.argument_checks import accepting, exact_types
from snakepit._pool.argument_scalars import Refused
from snakepit._pool.tools import ParameterSpec, ToolSpec
from snakepit.errors import InvalidParameter


class _Parameter:
    """One parameter, prepared: the types that pass at once, and what to do with all others."""

    __slots__ = ("accept", "exact", "spec")

    def __init__(self, spec: ParameterSpec) -> None:
        schema = {"type": "array", "items": spec.schema} if spec.kind == "var_positional" else spec.schema
        self.spec = spec
        self.accept = accepting(schema)
        self.exact = exact_types(schema)


class _Plan:
    """A tool's parameters, prepared for `check`. `extra` is its `**kwargs`."""

    __slots__ = ("extra", "named", "required")

    def __init__(self, spec: ToolSpec) -> None:
        self.named = {item.name: _Parameter(item) for item in spec.parameters if item.kind != "var_keyword"}
        self.extra = next((_Parameter(item) for item in spec.parameters if item.kind == "var_keyword"), None)
        self.required = frozenset(item.name for item in spec.parameters if item.required)


def check(spec: ToolSpec, args: Mapping[str, Any] | None, others: Collection[str] = ()) -> dict[str, Any]:
    """The arguments to send for a call.

    An int passes for a float, a bool for an int, a NumPy scalar for the number it is (and is sent as that number), any
    mapping for a dict, a list, tuple or array for a list, an enum's member or name for its value, a
    path or a moment for its text, a dataclass for a dict. Of the items of a list or dict only the
    first 1,000 are checked, of a list inside it the first 100, and so on; the rest travel as they are.

    Args:
        spec: the tool.
        args: by parameter name; the tool's `*args` is a list under its name. None: no arguments.
        others: names of arguments that are given elsewhere.

    Raises:
        InvalidParameter: `args` is not a mapping with text keys; or an argument is missing, unknown or ill-typed.
    """
    plan: _Plan = getattr(spec, "_plan", None) or _prepare(spec)
    if args is None:
        args = {}
    elif type(args) is not dict and not isinstance(args, Mapping):
        raise errors.not_a_mapping(spec, args)
    named = plan.named
    sent = {}
    for name, value in args.items():
        parameter = named.get(name) or plan.extra
        if parameter is None or not isinstance(name, str):
            raise errors.unknown_name(spec, name)
        if type(value) in parameter.exact:
            sent[name] = value
            continue
        try:
            sent[name] = parameter.accept(value)
        except Refused as refused:
            raise errors.ill_typed(spec, parameter.spec, name, refused) from None
    if not plan.required <= sent.keys() and not plan.required <= {*sent, *others}:
        raise errors.missing_names(spec, {*sent, *others})
    return sent


def takes(spec: ToolSpec, name: str, value: Any) -> bool:
    """Does the annotation of a parameter, where it is known, allow such a value?"""
    plan: _Plan = getattr(spec, "_plan", None) or _prepare(spec)
    parameter = plan.named.get(name) or plan.extra
    try:
        return parameter is None or type(value) in parameter.exact or parameter.accept(value) is not None
    except Refused:
        return False


def bind(spec: ToolSpec, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name for a call written as `tool(*args, **kwargs)`. `check` has still to see them.

    Raises:
        InvalidParameter: too many arguments, one given twice, or a keyword the tool does not know.
    """
    kinds = {item.kind: item.name for item in spec.parameters}  # Of interest for the two kinds a tool has at most once.
    rest, extra = kinds.get("var_positional"), kinds.get("var_keyword")
    named = {item.name for item in spec.parameters if item.name != extra}
    for name in kwargs:
        if extra is None and (name not in named or name == rest):
            raise errors.unknown_name(spec, name)
    try:
        found = spec.signature.bind_partial(*args, **kwargs).arguments
    except TypeError as error:
        raise InvalidParameter(f"{spec.name}(): {error}", hint=errors.usage(spec), tool=spec.name) from None
    others: dict[str, Any] = found.pop(extra, {}) if extra is not None else {}
    if rest in found:
        found[rest] = list(found[rest])
    for name in others:
        if name in named:
            message = f"{spec.name}(): {name!r} is not a keyword here, and **{extra} cannot hold it: it names another parameter"
            raise InvalidParameter(message, hint=errors.usage(spec), tool=spec.name, parameter=name)
    return {**found, **others}


def _prepare(spec: ToolSpec) -> _Plan:
    # Kept beside the frozen fields: a table keyed by spec would cost a hash of it per call.
    plan = _Plan(spec)
    object.__setattr__(spec, "_plan", plan)
    return plan
