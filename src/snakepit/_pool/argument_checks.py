"""From a parameter's schema to a function that accepts or refuses values, and turns NumPy scalars into plain numbers.

Called by `arguments`, once per parameter; what it makes runs on every call.
"""

from __future__ import annotations

import enum
import numbers
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

#: How many items of a list or dict are checked against the annotation of its items; of a list in a list a tenth of it, and so on.
ITEMS_CHECKED = 1000

#: Values of exactly these types travel as they are; all others are looked at for NumPy scalars.
_PLAIN: frozenset[type] = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})

#: Gives the value to send, or raises `Refused`.
Accept = Callable[[Any], Any]
Schema = Mapping[str, Any]


class Refused(Exception):
    """A value is not allowed. `value` is the part at fault, `where` the path to it: `[3]`, `['key']` or empty."""

    def __init__(self, value: Any, where: str = "") -> None:
        super().__init__()
        self.value = value
        self.where = where


def exact_types(schema: Schema) -> frozenset[type]:
    """Types whose every instance the schema accepts and that are sent as they are: the fast way past `accept`."""
    if not schema:
        return _PLAIN
    if "anyOf" in schema:
        options = schema["anyOf"]
        return frozenset[type]().union(*map(exact_types, options)) if _are_schemas(options) else _PLAIN
    if "enum" in schema:
        return frozenset()
    kind = kind_of(schema)
    if kind == "array":
        return frozenset() if schema.get("items") else frozenset({list, tuple})
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
    return simple.get(kind, _PLAIN)


def accepting(schema: Schema, depth: int = 0) -> Accept:
    """The function that accepts what a schema allows. A schema this host does not know accepts anything."""
    if "anyOf" in schema:
        options = schema["anyOf"]
        return _any_of(exact_types(schema), [accepting(item, depth) for item in options]) if _are_schemas(options) else _scalar
    if isinstance(schema.get("enum"), list):
        return _enumeration(schema["enum"])
    kind = kind_of(schema)
    if kind == "array":
        return _array(_part(schema, "items"), depth)
    if kind == "object":
        return _object(_part(schema, "additionalProperties"), depth)
    return _SIMPLE.get(kind, _scalar)


def kind_of(schema: Schema) -> str:
    """The schema's `type`, `binary` for bytes, and an empty string for what has none."""
    kind = schema.get("type")
    if kind == "string" and schema.get("format") == "binary":
        return "binary"
    return kind if isinstance(kind, str) else ""


def _part(schema: Schema, key: str) -> Schema:
    part = schema.get(key)
    return part if isinstance(part, dict) else {}


def _are_schemas(options: Any) -> bool:
    return isinstance(options, list) and all(isinstance(option, dict) for option in options)


def _scalar(value: Any) -> Any:
    """What a NumPy scalar or an array without dimensions holds; anything else as it is."""
    if type(value) not in _PLAIN and hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    return value


def _integer(value: Any) -> Any:
    plain = _scalar(value)
    if isinstance(plain, numbers.Integral):
        return plain if isinstance(plain, int) else int(plain)
    raise Refused(value)


def _number(value: Any) -> Any:
    plain = _scalar(value)
    if isinstance(plain, numbers.Real):
        return plain if isinstance(plain, (int, float)) else float(plain)
    raise Refused(value)


def _string(value: Any) -> Any:
    plain = _scalar(value)
    if isinstance(plain, str):
        return plain
    raise Refused(value)


def _boolean(value: Any) -> Any:
    plain = _scalar(value)
    if isinstance(plain, bool):
        return plain
    raise Refused(value)


def _null(value: Any) -> Any:
    if value is None:
        return None
    raise Refused(value)


def _binary(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return value
    raise Refused(value)


_SIMPLE: dict[str, Accept] = {
    "integer": _integer,
    "number": _number,
    "string": _string,
    "boolean": _boolean,
    "null": _null,
    "binary": _binary,
}


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


def _enumeration(allowed: list[Any]) -> Accept:
    # True == 1 == 1.0 in Python; only the last two may stand for each other here.
    table = {(isinstance(item, bool), item): item for item in allowed if _is_simple(item)}

    def accept(value: Any) -> Any:
        plain = _scalar(value.value if isinstance(value, enum.Enum) else value)
        key = (isinstance(plain, bool), plain)
        if _is_simple(plain) and key in table:
            return table[key]
        raise Refused(value)

    return accept


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _array(items: Schema, depth: int) -> Accept:
    check = _Items(items, depth)

    def accept(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            changed = check.changed(enumerate(value), value) if items else {}
            return [changed.get(index, item) for index, item in enumerate(value)] if changed else value
        if hasattr(value, "tolist") and hasattr(value, "dtype") and getattr(value, "shape", None) != ():
            return value
        raise Refused(value)

    return accept


def _object(values: Schema, depth: int) -> Accept:
    check = _Items(values, depth)

    def accept(value: Any) -> Any:
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
                raise Refused(refused.value, f"[{key!r}]{refused.where}") from None
            if plain is not value:
                changed[key] = plain
        return changed
