"""From text on a command line to the value a parameter takes, by the parameter's schema (a JSON Schema subset).

Pure. A schema that allows several types takes the first that fits, the most special first: enum, null, integer,
number, boolean, array, object, and text only if nothing else fits. Called by `arguments`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from .items import json_kind, strict_json

Schema = Mapping[str, Any]

TRUE_WORDS = ("true", "yes", "1")
FALSE_WORDS = ("false", "no", "0")
NULL_WORDS = ("null", "none")

_ORDER = ("enum", "null", "integer", "number", "boolean", "array", "object", "string", "binary", "anything")
_EXAMPLES = {"integer": "[1, 2]", "number": "[0.5, 2]", "boolean": "[true, false]", "array": "[[1], [2]]", "object": '[{"a": 1}]'}


class Unconvertible(ValueError):
    """The text is none of what the schema allows; the message tells what that is, and perhaps why this is not."""


def from_text(text: str, schema: Schema) -> Any:
    """The value that `key=text` stands for.

    Raises:
        Unconvertible: the schema allows nothing that the text could be.
    """
    return _first_fit(schema, _options(schema), lambda _kind: text)


def from_file(data: bytes, schema: Schema) -> Any:
    """The value that `key=@file` stands for: text, bytes for binary, JSON for arrays and objects.

    Raises:
        Unconvertible: the file holds nothing that the schema allows.
    """
    options = _options(schema)
    kinds = {_kind(option) for option in options}
    if kinds == {"binary"}:
        return data
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        if kinds & {"binary", "anything"}:
            return data
        raise Unconvertible(f"{allowed(schema)} (the file is no UTF-8 text)") from None
    if kinds == {"anything"}:
        return text
    # A file whose text happens to be "none" is that text; the line end that an editor adds belongs to no number or name.
    fitting = [option for option in options if _kind(option) != "null"] or options
    return _first_fit(schema, fitting, lambda kind: text if kind in ("string", "binary") else text.strip())


def allowed(schema: Schema) -> str:
    """What a schema allows on a command line, in words."""
    kind = _kind(schema)
    if kind == "anyOf":
        return " or ".join(dict.fromkeys(allowed(option) for option in schema["anyOf"]))
    if kind == "enum":
        return "one of " + ", ".join(_word(value) for value in schema["enum"])
    if kind == "array":
        example = _EXAMPLES.get(_kind(schema.get("items", {})), '["a", "b"]')
        return f"a JSON array such as {example}"
    return {
        "null": "null",
        "integer": "an integer",
        "number": "a number",
        "boolean": "true, false, yes, no, 1 or 0",
        "object": 'a JSON object such as {"a": 1}',
        "string": "text",
        "binary": "text or a file",
        "anything": "any value",
    }[kind]


def _first_fit(schema: Schema, options: list[Schema], text_for: Callable[[str], str]) -> Any:
    """What the first option that fits makes of the text; `text_for` gives the text for a kind of option."""
    refusals: list[Unconvertible] = []
    for option in options:
        kind = _kind(option)
        try:
            return _CONVERTERS[kind](text_for(kind), option)
        except Unconvertible as refusal:
            refusals.append(refusal)
    raise refusals[0] if len(refusals) == 1 else Unconvertible(allowed(schema))


def _options(schema: Schema) -> list[Schema]:
    return sorted(schema.get("anyOf", [schema]), key=lambda option: _ORDER.index(_kind(option)))


def _kind(schema: Schema) -> str:
    if "anyOf" in schema or "enum" in schema:
        return "anyOf" if "anyOf" in schema else "enum"
    kind = schema.get("type", "anything")
    if kind == "string" and schema.get("format") == "binary":
        return "binary"
    return kind if kind in _ORDER else "anything"  # A newer worker may know types that are not known here.


def _enum(text: str, schema: Schema) -> Any:
    for value in schema["enum"]:
        if text == value or (not isinstance(value, str) and text.lower() == str(value).lower()) or text == _word(value):
            return value
    names = schema.get("names", {})
    if text in names:
        return names[text]
    near = get_close_matches(text, [*map(_word, schema["enum"]), *names], n=3)
    raise Unconvertible(allowed(schema) + (f"; did you mean {' or '.join(near)}?" if near else ""))


def _null(text: str, schema: Schema) -> None:
    if text.lower() not in NULL_WORDS:
        raise Unconvertible(allowed(schema))


def _integer(text: str, schema: Schema) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unconvertible(allowed(schema)) from None


def _number(text: str, schema: Schema) -> int | float:
    try:
        return _integer(text, schema)  # As in Python, 2 passes for 2.0.
    except Unconvertible:
        pass
    try:
        return float(text)
    except ValueError:
        raise Unconvertible(allowed(schema)) from None


def _boolean(text: str, schema: Schema) -> bool:
    word = text.lower()
    if word not in TRUE_WORDS + FALSE_WORDS:
        raise Unconvertible(allowed(schema))
    return word in TRUE_WORDS


def _container(kind: type) -> Callable[[str, Schema], Any]:
    def convert(text: str, schema: Schema) -> Any:
        try:
            value = strict_json(text)
        except ValueError as error:
            raise Unconvertible(f"{allowed(schema)} (this is not JSON: {error})") from None
        if not isinstance(value, kind):
            raise Unconvertible(f"{allowed(schema)} (this is {json_kind(value)})")
        return value

    return convert


def _text(text: str, _schema: Schema) -> str:
    return text


def _binary(text: str, _schema: Schema) -> bytes:
    return text.encode("utf-8")


def _anything(text: str, _schema: Schema) -> Any:
    """Numbers, true, false and null by JSON's rules; all else stays text."""
    try:
        value = strict_json(text)
    except ValueError:
        return text
    if isinstance(value, (list, dict, str)) or (isinstance(value, float) and not math.isfinite(value)):
        return text
    return value


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


_CONVERTERS: dict[str, Callable[[str, Schema], Any]] = {
    "enum": _enum,
    "null": _null,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _container(list),
    "object": _container(dict),
    "string": _text,
    "binary": _binary,
    "anything": _anything,
}
