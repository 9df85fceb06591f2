"""From a type annotation to the part of JSON Schema that a tool's spec speaks, and to a short text for people.

Used by `tool_specs`; the runtime's conversion of arguments reads annotations by the same rules. An annotation that cannot
be read allows anything: a schema is a help for callers, and must never keep a tool from being offered.
"""

import collections
import collections.abc
import dataclasses
import datetime
import decimal
import enum
import inspect
import numbers
import os
import pathlib
import sys
import typing
import uuid
from typing import Any, Callable, Dict, List, Sequence

from ._annotation_text import evaluate

Schema = Dict[str, Any]

#: Deeper annotations allow anything; recursive aliases end here.
_MAX_DEPTH = 8
_MAX_TEXT = 200

_ARRAYS = (list, tuple, collections.deque)
_ABSTRACT_ARRAYS = (collections.abc.Sequence, collections.abc.MutableSequence)
_SETS = (set, frozenset)
_ABSTRACT_SETS = (collections.abc.Set, collections.abc.MutableSet)
_ABSTRACT_OBJECTS = (collections.abc.Mapping, collections.abc.MutableMapping)
_NUMBERS = (numbers.Number, numbers.Complex, numbers.Real, numbers.Rational, numbers.Integral)
_UNIONS = ("typing.Union", "types.UnionType")

#: The first that a class derives from decides; bool before int.
_PLAIN = (
    (bool, {"type": "boolean"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (str, {"type": "string"}),
    ((bytes, bytearray, memoryview), {"type": "string", "format": "binary"}),
    (pathlib.PurePath, {"type": "string", "format": "path"}),
    (datetime.datetime, {"type": "string", "format": "date-time"}),
    (datetime.date, {"type": "string", "format": "date"}),
    (datetime.time, {"type": "string", "format": "time"}),
    (datetime.timedelta, {"anyOf": [{"type": "number"}, {"type": "string", "format": "duration"}]}),
    (uuid.UUID, {"type": "string", "format": "uuid"}),
    (decimal.Decimal, {"type": "string", "format": "decimal"}),
)  # type: Sequence[Any]

#: NumPy's classes by name, so that NumPy need not be imported. The first of a class's ancestors found here decides.
_NUMPY = {
    "ndarray": {"type": "array"},
    "bool": {"type": "boolean"},
    "bool_": {"type": "boolean"},
    "integer": {"type": "integer"},
    "complexfloating": {},
    "number": {"type": "number"},
}  # type: Dict[str, Schema]


def schema_of(annotation: Any) -> Schema:
    """The schema of what an annotation allows; `{}` (anything) when it is unknown or cannot be read."""
    try:
        return _schema(annotation, 0)
    except Exception:  # An annotation is any object at all, with any behaviour.
        return {}


def widened(schema: Schema) -> Schema:
    """The schema that allows None too; for parameters whose default is None."""
    options = schema.get("anyOf", [schema])
    if not schema or {"type": "null"} in options or None in schema.get("enum", ()):
        return schema
    return {"anyOf": [*options, {"type": "null"}]}


def text_of(annotation: Any) -> str:
    """An annotation as its author would write it; an empty string if there is none."""
    if annotation is inspect.Parameter.empty:
        return ""
    if isinstance(annotation, str):
        text = annotation
    elif annotation is None or annotation is type(None):
        text = "None"
    elif isinstance(annotation, type) and typing.get_origin(annotation) is None:
        text = annotation.__qualname__
    else:
        try:
            text = repr(annotation).replace("typing.", "").replace("NoneType", "None")
        except Exception:
            text = type(annotation).__name__
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 3] + "..."


def hints_of(function: Callable[..., Any]) -> Dict[str, Any]:
    """The annotations of a plain function or a class, by name, as objects; names that cannot be found stand for `Any`."""
    function = inspect.unwrap(function)
    try:
        return typing.get_type_hints(function)
    except Exception:  # One name that is imported for type checkers only spoils all; look at each by itself.
        found: Dict[str, Any] = {}
        for owner in reversed(function.__mro__) if isinstance(function, type) else (function,):
            module = sys.modules.get(str(getattr(owner, "__module__", "")))
            namespace = getattr(owner, "__globals__", None) or getattr(module, "__dict__", {})
            raw = getattr(owner, "__annotations__", {})
            found.update({name: evaluate(item, namespace) if isinstance(item, str) else item for name, item in raw.items()})
        return found


def unwrapped(annotation: Any) -> Any:
    """What is behind annotations in text, NewType, `type X = ...` and Annotated."""
    for _ in range(_MAX_DEPTH):
        if isinstance(annotation, (str, typing.ForwardRef)):
            annotation = evaluate(annotation if isinstance(annotation, str) else annotation.__forward_arg__, {})
        elif hasattr(annotation, "__metadata__"):
            annotation = annotation.__origin__
        elif isinstance(annotation, type) or not (hasattr(annotation, "__supertype__") or hasattr(annotation, "__value__")):
            return annotation
        else:
            annotation = getattr(annotation, "__supertype__", None) or annotation.__value__
    return Any


def _schema(annotation: Any, depth: int) -> Schema:
    annotation = unwrapped(annotation)
    if depth > _MAX_DEPTH or annotation is inspect.Parameter.empty or annotation is Any or annotation is object:
        return {}
    if annotation is None or annotation is type(None):
        return {"type": "null"}
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None:
        return _class_schema(annotation) if isinstance(annotation, type) else {}
    if is_union(origin):
        return _any_of([_schema(item, depth + 1) for item in arguments])
    if origin is typing.Literal:
        return _enumeration(arguments)
    return _container_schema(_class_schema(origin), origin, arguments, depth)


def is_union(origin: Any) -> bool:
    # By name: types.UnionType is not there before Python 3.10.
    return origin is typing.Union or "%s.%s" % (getattr(origin, "__module__", ""), getattr(origin, "__qualname__", "")) in _UNIONS


def _any_of(options: List[Schema]) -> Schema:
    flat: List[Schema] = []
    for option in options:
        flat.extend(item for item in option.get("anyOf", [option]) if item not in flat)
    if {} in flat or not flat:
        return {}
    return flat[0] if len(flat) == 1 else {"anyOf": flat}


def _enumeration(values: Sequence[Any]) -> Schema:
    plain = [value.value if isinstance(value, enum.Enum) else value for value in values]
    if plain and all(value is None or type(value) in (bool, int, float, str) for value in plain):
        return {"enum": plain}
    return {}


def _class_schema(kind: type) -> Schema:
    if issubclass(kind, enum.Enum):
        schema = {} if issubclass(kind, enum.Flag) else _enumeration(list(kind))
        return {**schema, "names": {name: item.value for name, item in kind.__members__.items()}} if schema else {}
    for base, schema in _PLAIN:
        if issubclass(kind, base):
            return dict(schema)
    if kind in _NUMBERS:
        return {"type": "integer" if kind is numbers.Integral else "number"}
    if kind is os.PathLike:
        return {"type": "string", "format": "path"}
    if dataclasses.is_dataclass(kind):
        return {"type": "object", "format": "dataclass"}
    if issubclass(kind, _SETS) or kind in _ABSTRACT_SETS:
        return {"type": "array", "uniqueItems": True}
    if issubclass(kind, dict) or kind in _ABSTRACT_OBJECTS:
        return {"type": "object"}
    if issubclass(kind, _ARRAYS) or kind in _ABSTRACT_ARRAYS:
        return {"type": "array"}
    for base in kind.__mro__:
        if base.__module__.partition(".")[0] == "numpy" and base.__name__ in _NUMPY:
            return dict(_NUMPY[base.__name__])
    return {}


def _container_schema(schema: Schema, origin: type, arguments: Sequence[Any], depth: int) -> Schema:
    """Add what a container's type arguments say about its items."""
    if schema == {"type": "object"} and len(arguments) == 2:
        values = _schema(arguments[1], depth + 1)
        return {"type": "object", "additionalProperties": values} if values else schema
    known = (*_ABSTRACT_ARRAYS, *_ABSTRACT_SETS)
    if schema.get("type") == "array" and (issubclass(origin, (*_ARRAYS, *_SETS)) or origin in known):
        items = _any_of([_schema(item, depth + 1) for item in arguments if item is not Ellipsis and item != ()])
        return {**schema, "items": items} if items else schema
    return schema
