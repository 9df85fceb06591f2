"""From a parameter's schema to a function that accepts or refuses values, and turns NumPy scalars into plain numbers.

Called by `arguments`, once per parameter; what it makes runs on every call.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Any

from snakepit._pool.argument_scalars import FORMATS, PLAIN, SIMPLE, Accept, Refused, anything, enumeration, formatted

#: How many items of a list or dict are checked against the annotation of its items; of a list in a list a tenth of it, and so on.
ITEMS_CHECKED = 1000

Schema = Mapping[str, Any]


def exact_types(schema: Schema) -> frozenset[type]:
    """Types whose every instance the schema accepts and that are sent as they are: the fast way past `accept`."""
    if not schema:
        return PLAIN
    if "anyOf" in schema:
        options = schema["anyOf"]
        return frozenset[type]().union(*map(exact_types, options)) if _are_schemas(options) else PLAIN
    if "enum" in schema:
        return frozenset()
    kind = kind_of(schema)
    if kind == "array":
        arrays: frozenset[type] = frozenset({list, tuple, set, frozenset} if schema.get("uniqueItems") else {list, tuple})
        return frozenset() if schema.get("items") else arrays
    if kind == "object":
        return frozenset() if schema.get("additionalProperties") else frozenset({dict})
    simple: dict[str, frozenset[type]] = {
        "integer": frozenset({int, bool}),
        "number": frozenset({float, int, bool}),
        "boolean": frozenset({bool}),
        "null": frozenset({type(None)}),
        "string": frozenset({str}),
        "binary": frozenset({bytes, bytearray}),
    }
    return simple["string"] if kind in FORMATS else simple.get(kind, PLAIN)


def accepting(schema: Schema, depth: int = 0) -> Accept:
    """The function that accepts what a schema allows. A schema this host does not know accepts anything."""
    if "anyOf" in schema:
        options = schema["anyOf"]
        return _any_of(exact_types(schema), [accepting(item, depth) for item in options]) if _are_schemas(options) else anything
    if isinstance(schema.get("enum"), list):
        return enumeration(schema["enum"], _part(schema, "names"))
    kind = kind_of(schema)
    if kind == "array":
        return _array(_part(schema, "items"), depth, unique=bool(schema.get("uniqueItems")))
    if kind == "object":
        return _object(_part(schema, "additionalProperties"), depth, dataclass=schema.get("format") == "dataclass")
    if kind in FORMATS:
        return formatted(FORMATS[kind])
    return SIMPLE.get(kind, anything)


def kind_of(schema: Schema) -> str:
    """The schema's `type`, its format for bytes and for text that stands for something else, and an empty string for what has none."""
    kind, form = schema.get("type"), schema.get("format")
    if kind == "string" and isinstance(form, str) and (form == "binary" or form in FORMATS):
        return form
    return kind if isinstance(kind, str) and kind not in FORMATS else ""


def _part(schema: Schema, key: str) -> Schema:
    part = schema.get(key)
    return part if isinstance(part, dict) else {}


def _are_schemas(options: Any) -> bool:
    return isinstance(options, list) and all(isinstance(option, dict) for option in options)


def _any_of(exact: frozenset[type], options: list[Accept]) -> Accept:
    def accept(value: Any) -> Any:
        if type(value) in exact:
            return value
        deepest = Refused(value)
        for option in options:
            try:
                return option(value)
            except Refused as refused:  # The option that got furthest into the value is the one that was meant.
                deepest = max(deepest, refused, key=lambda item: len(item.where))
        raise deepest

    return accept


def _array(items: Schema, depth: int, *, unique: bool) -> Accept:
    check = _Items(items, depth)

    def accept(value: Any) -> Any:
        if isinstance(value, (list, tuple, set, frozenset) if unique else (list, tuple)):
            changed = check.changed(enumerate(value), value) if items else {}
            return [changed.get(index, item) for index, item in enumerate(value)] if changed else value
        if unique and isinstance(value, AbstractSet):
            return accept(list(value))
        if hasattr(value, "tolist") and hasattr(value, "dtype") and getattr(value, "shape", None) != ():
            return value
        raise Refused(value)

    return accept


def _object(values: Schema, depth: int, *, dataclass: bool) -> Accept:
    check = _Items(values, depth)

    def accept(value: Any) -> Any:
        if dataclass and dataclasses.is_dataclass(value) and not isinstance(value, type):
            return value
        if not isinstance(value, Mapping):
            raise Refused(value)
        plain = value if isinstance(value, dict) else dict(value)
        changed = check.changed(plain.items(), plain.values()) if values else {}
        return {**plain, **changed} if changed else plain

    return accept


class _Items:
    """Checks the items of a list or dict."""

    def __init__(self, schema: Schema, depth: int) -> None:
        self._exact = exact_types(schema)
        self._accept = accepting(schema, depth + 1)
        self._limit = max(ITEMS_CHECKED // 10**depth, 1)

    def changed(self, items: Iterable[tuple[Any, Any]], values: Iterable[Any]) -> dict[Any, Any]:
        """What to send instead of some items, by index or key."""
        if self._exact.issuperset(map(type, islice(values, self._limit))):
            return {}
        changed = {}
        for key, value in islice(items, self._limit):
            if type(value) in self._exact:
                continue
            try:
                plain = self._accept(value)
            except Refused as refused:
                raise Refused(refused.value, f"[{_shown(key)}]{refused.where}") from None
            if plain is not value:
                changed[key] = plain
        return changed


def _shown(key: Any) -> str:
    """A key as in the value's own text; large integers in hexadecimal, since Python refuses to write thousands of digits."""
    return f"{key:#x}" if type(key) is int and key.bit_length() > 64 else repr(key)
