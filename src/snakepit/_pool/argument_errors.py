"""The errors of `arguments`: each names the tool, the parameter, what came, what is allowed, and how to mend it."""

from __future__ import annotations

import inspect
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

from snakepit._pool.argument_checks import kind_of
from snakepit._pool.argument_scalars import Refused
from snakepit._pool.tools import ParameterSpec, ToolSpec, did_you_mean
from snakepit.errors import InvalidParameter
from snakepit_bridge import redaction

_MAX_REPR = 60
_MAX_BITS = 512
_MAX_USAGE = 300
_VALUES_SHOWN = 12

_WORDS = {
    "integer": "int",
    "number": "float",
    "string": "str",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "binary": "bytes",
    "null": "None",
}

_CURES = {
    "boolean": "pass True or False",
    "object": "pass a dict",
    "path": "pass text or a pathlib.Path",
    "date-time": "pass a datetime, or ISO 8601 text such as 2024-05-31T12:00:00",
    "date": "pass a date, or ISO 8601 text such as 2024-05-31",
    "time": "pass a time, or ISO 8601 text such as 12:30:00",
    "duration": "pass a timedelta, a number of seconds, or ISO 8601 text such as P1DT2H30M",
    "uuid": "pass a UUID or its text",
    "decimal": "pass a Decimal, a number or its text",
}

_KEYS_IN_PATH = re.compile(r"\[['\"]([^'\"]+)")


class _Short(reprlib.Repr):
    """A repr whose cost does not grow with the value."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _MAX_REPR
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = 4
        self.maxlevel = 3

    def repr_int(self, value: int, level: int) -> str:
        # Python refuses to write thousands of digits.
        return super().repr_int(value, level) if value.bit_length() <= _MAX_BITS else f"an int of {value.bit_length()} bits"

    def repr_bytes(self, value: bytes, _level: int) -> str:
        return repr(value[:_MAX_REPR])

    def repr_bytearray(self, value: bytearray, _level: int) -> str:
        return repr(value[:_MAX_REPR])


_short = _Short()


def short_repr(value: Any) -> str:
    """A repr of at most 60 characters."""
    text = " ".join(_short.repr(value).split())
    return text if len(text) <= _MAX_REPR else text[: _MAX_REPR - 3] + "..."


def usage(spec: ToolSpec) -> str:
    """How a tool is called, as its signature."""
    text = f"{spec.name}{spec.signature}"
    return text if len(text) <= _MAX_USAGE else text[: _MAX_USAGE - 3] + "..."


def not_a_mapping(spec: ToolSpec, args: Any) -> InvalidParameter:
    """`args` is something else than a dict."""
    example = ", ".join(f'"{item.name}": ...' for item in spec.parameters[:3] if not item.kind.startswith("var_"))
    hint = f"pass them by name: {{{example}}}"
    if isinstance(args, (list, tuple)):
        hint += f", or by position: pool.tools.{spec.name}(...)"
    came = f"{type(args).__name__}: {short_repr(args)}"
    return InvalidParameter(f"{spec.name}(): the arguments must be a dict, got {came}", hint=hint, tool=spec.name)


def unknown_name(spec: ToolSpec, name: Any) -> InvalidParameter:
    """An argument that the tool has no parameter for, or whose name is no text."""
    if not isinstance(name, str):
        message = f"{spec.name}(): the name of an argument must be text, got {type(name).__name__}: {short_repr(name)}"
        return InvalidParameter(message, hint=usage(spec), tool=spec.name, parameter=name)
    names = [item.name for item in spec.parameters]
    near = did_you_mean(name, names)
    hint = f"{near} {usage(spec)}" if near else usage(spec) if names else "the tool takes no arguments"
    return InvalidParameter(f"{spec.name}(): there is no parameter {short_repr(name)}", hint=hint, tool=spec.name, parameter=name)


def missing_names(spec: ToolSpec, given: Iterable[str]) -> InvalidParameter:
    """Required arguments were not given."""
    have = set(given)
    missing = [item for item in spec.parameters if item.required and item.name not in have]
    names = " and ".join(f"{item.name!r} ({allowed(item)})" if allowed(item) else repr(item.name) for item in missing)
    noun = "argument" if len(missing) == 1 else "arguments"
    message = f"{spec.name}(): the {noun} {names} must be given"
    return InvalidParameter(message, hint=usage(spec), tool=spec.name, parameter=missing[0].name, missing=[item.name for item in missing])


def ill_typed(spec: ToolSpec, parameter: ParameterSpec, name: str, refused: Refused) -> InvalidParameter:
    """An argument of a type or value that the parameter does not take."""
    value, expected = refused.value, allowed(parameter)
    secret = any(redaction.is_secret_name(word) for word in (name, *_KEYS_IN_PATH.findall(refused.where)))
    came = redaction.describe(value) if secret else f"{type(value).__name__}: {short_repr(value)}"
    place = f"argument {name!r}"
    message = f"{spec.name}(): {place} must be {expected}, got {came}"
    if refused.where:
        message = f"{spec.name}(): {place} must be {expected}; {name}{refused.where} is {came}"
    hint = "" if secret else _cure(parameter, value, refused.where)  # a cure may quote the value, or the default
    return InvalidParameter(message, hint=hint, tool=spec.name, parameter=name, expected=expected, got=type(value).__name__)


def allowed(parameter: ParameterSpec) -> str:
    """What a parameter takes, in words: its annotation, the values of an enumeration, and None where it may be."""
    options = _options(parameter.schema)
    values = [item for option in options for item in option.get("enum", ())]
    words = parameter.annotation or " or ".join(_WORDS.get(kind_of(option), "anything") for option in options if option)
    if values:
        shown = ", ".join(short_repr(item) for item in values[:_VALUES_SHOWN]) + (", ..." if len(values) > _VALUES_SHOWN else "")
        words = f"one of {shown}"
    if parameter.kind == "var_positional":
        return f"a list of {words}" if words else "a list"
    none = {"type": "null"} in options and not any(word in words for word in ("None", "Optional"))
    return f"{words} or None" if none else words


def _options(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    options = schema.get("anyOf", [schema])
    return [option for option in options if isinstance(option, dict)] if isinstance(options, list) else []


def _cure(parameter: ParameterSpec, value: Any, where: str) -> str:
    if where:
        return "mend that item; an annotation of list or dict without item types takes any"
    if value is None and not parameter.required:
        default = parameter.default
        return "leave it out to get the default" + ("" if default is inspect.Parameter.empty else f", {short_repr(default)}")
    if value is None:
        return "if the tool can do without, annotate the parameter as Optional or give it the default None"
    options = _options(parameter.schema)
    for option in options:
        if "enum" in option:
            words = dict.fromkeys([*option["enum"], *option.get("names", ())])
            return did_you_mean(str(value), [item for item in words if isinstance(item, str)]) or "pass one of these values"
    kinds = ["array"] if parameter.kind == "var_positional" else [kind_of(option) for option in options]
    return next((cure for kind in kinds if (cure := _cure_for(kind, value))), "")


def _cure_for(kind: str, value: Any) -> str:
    if kind == "integer":
        return "pass a whole number, for example int(value)" if isinstance(value, (str, float)) else "pass a whole number"
    if kind == "number":
        return "pass a number, for example float(value)" if isinstance(value, str) else "pass a number"
    if kind == "string":
        return "pass value.decode()" if isinstance(value, (bytes, bytearray)) else "pass text, for example str(value)"
    if kind == "array":
        return "pass a list, for example list(value)" if _is_iterable(value) else "pass a list, for example [value]"
    if kind == "binary":
        return "pass value.encode()" if isinstance(value, str) else "pass bytes, a bytearray or a memoryview"
    return _CURES.get(kind, "")


def _is_iterable(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, (str, bytes, Mapping))
