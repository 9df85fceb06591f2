"""Functions that accept or refuse one value that holds no others, and turn NumPy scalars into plain numbers.

`argument_checks` picks one by a parameter's schema. Text that stands for something else, such as a path or a moment, may
also be given as that: the worker makes such a value of the text again.
"""

from __future__ import annotations

import datetime
import decimal
import enum
import numbers
import os
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from snakepit_bridge.wire.own_words import is_missing
from snakepit_bridge.wire.typed import is_typed

#: Values of exactly these types travel as they are; all others are looked at for NumPy scalars.
PLAIN: frozenset[type] = frozenset({type(None), bool, int, float, str, bytes, list, tuple, dict})

#: Gives the value to send, or raises `Refused`.
Accept = Callable[[Any], Any]

#: What passes for text of a format beside text: the worker makes such values of it again.
FORMATS: dict[str, tuple[type, ...]] = {
    "path": (os.PathLike,),
    "date-time": (datetime.date,),
    "date": (datetime.date,),
    "time": (datetime.time,),
    "duration": (datetime.timedelta,),
    "uuid": (uuid.UUID,),
    "decimal": (decimal.Decimal, int, float),
}


class Refused(Exception):
    """A value is not allowed. `value` is the part at fault, `where` the path to it: `[3]`, `['key']` or empty."""

    def __init__(self, value: Any, where: str = "") -> None:
        super().__init__()
        self.value = value
        self.where = where


def scalar(value: Any) -> Any:
    """What a NumPy scalar or an array without dimensions holds; anything else as it is."""
    if type(value) not in PLAIN and hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "shape", None) == ():
        return None if is_missing(value) else value.item()
    return value


def anything(value: Any) -> Any:
    """What no kind is asked of: an array arrives as one, without dimensions too; a NumPy scalar as what it holds."""
    return value if is_typed(type(value)) else scalar(value)


def _integer(value: Any) -> Any:
    plain = scalar(value)
    if isinstance(plain, numbers.Integral):
        return plain if isinstance(plain, int) else int(plain)
    raise Refused(value)


def _number(value: Any) -> Any:
    plain = scalar(value)
    if isinstance(plain, numbers.Real):
        return plain if isinstance(plain, (int, float)) else float(plain)
    raise Refused(value)


def _string(value: Any) -> Any:
    plain = scalar(value)
    if isinstance(plain, str):
        return plain
    raise Refused(value)


def formatted(kinds: tuple[type, ...]) -> Accept:
    """Accepts text, and values of `kinds`, which travel as text."""

    def accept(value: Any) -> Any:
        plain = scalar(value)
        if isinstance(plain, (str, *kinds)):
            return os.fsdecode(plain) if isinstance(plain, os.PathLike) else plain
        raise Refused(value)

    return accept


def _boolean(value: Any) -> Any:
    plain = scalar(value)
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


SIMPLE: dict[str, Accept] = {
    "integer": _integer,
    "number": _number,
    "string": _string,
    "boolean": _boolean,
    "null": _null,
    "binary": _binary,
}


def enumeration(allowed: list[Any], names: Mapping[str, Any]) -> Accept:
    """Accepts some values, members of an enum that have them, and the names of such members."""
    # True == 1 == 1.0 in Python; only the last two may stand for each other here.
    table = {(isinstance(item, bool), item): item for item in allowed if _is_simple(item)}

    def accept(value: Any) -> Any:
        plain = scalar(value.value if isinstance(value, enum.Enum) else value)
        key = (isinstance(plain, bool), plain)
        if _is_simple(plain) and key in table:
            return table[key]
        if isinstance(plain, str) and plain in names:
            return names[plain]
        raise Refused(value)

    return accept


def _is_simple(value: Any) -> bool:
    return value is None or isinstance(value, (str, int, float))
