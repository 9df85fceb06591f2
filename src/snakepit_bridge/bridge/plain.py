"""What JSON makes of any value: the plainer forms that the public service and other languages get.

Tuples, sets and arrays become lists, moments their ISO text, objects what they say of themselves. What says nothing becomes a
marker that names its type, so that one odd value does not cost the rest.
"""

import base64
import datetime
import decimal
import enum
import json
import math
import pathlib
import uuid
from typing import Any, Callable, List, Mapping, Set

from ..wire.markers import marker, too_many_elements
from ..wire.own_words import is_missing, own_words
from ..wire.plain import duration
from .tables import plain_table

#: Deeper than this nothing is looked at: it may contain itself.
_DEEPEST = 200
#: One that is cut off there so often branches without end: nothing of it is told.
_MOST_CUT = 1000
#: Some 4,300 decimal digits.
_MOST_BITS = 14_000

_AS_TEXT = (datetime.datetime, datetime.date, datetime.time, decimal.Decimal, uuid.UUID, pathlib.PurePath, datetime.tzinfo)


def dumps(value: Any) -> bytes:
    """JSON of any value, UTF-8. Never raises because of what the value is."""
    try:
        if _has_text_keys(value):  # of others the library makes texts, and cares for no two that are the same
            return _ENCODER.encode(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):  # not JSON as it is; numbers that are none are such
        pass
    return json.dumps(plain(value), separators=(",", ":"), allow_nan=False).encode("ascii")


def plain(value: Any) -> Any:
    """The same in None, bool, int, float, str, list and dict alone. Numbers that are none (NaN, the infinities) become text."""
    try:
        return _Walk().plain(value, 0)
    except Exception:  # it branches without end, or its own code raised
        return marker(value)


def keyed(items: Mapping[Any, Any], part: Callable[[Any], Any]) -> Any:
    """An object of JSON, whose keys are texts; where two would be one and the same, a list of pairs [key, item].

    Args:
        part: makes a key or item plain.
    """
    found: Any = {}
    for key, item in items.items():
        found[_key(key, part)] = part(item)
    return found if len(found) == len(items) else [[part(key), part(item)] for key, item in items.items()]


def _has_text_keys(value: Any) -> bool:
    """Of this dict or list, and all those in it. Others are not looked into."""
    if isinstance(value, dict):
        return all(type(key) is str for key in value) and all(map(_has_text_keys, value.values()))
    return all(map(_has_text_keys, value)) if isinstance(value, (list, tuple)) else True


class _Walk:
    """Through one value. What contains itself has a marker there."""

    def __init__(self) -> None:
        self._above: Set[int] = set()
        self._cut = 0  # how often it was too deep

    def plain(self, value: Any, depth: int) -> Any:
        """A part of it, so deep in it."""
        if value is None or is_missing(value):
            return None
        if isinstance(value, (bool, str)):
            return str.__str__(value) if isinstance(value, str) else value  # `str` of an enum's member is its name
        if isinstance(value, int) and not isinstance(value, enum.Enum):  # interpreters refuse to write more digits than this
            return int(value) if value.bit_length() <= _MOST_BITS else hex(value)
        if isinstance(value, float) and not isinstance(value, enum.Enum):
            return float(value) if math.isfinite(value) else _NO_NUMBERS[str(float(value))]
        if isinstance(value, (bytes, bytearray, memoryview)):
            return base64.b64encode(bytes(value)).decode("ascii")
        if isinstance(value, _AS_TEXT):
            return value.isoformat() if hasattr(value, "isoformat") else str(value)
        if isinstance(value, datetime.timedelta):
            return duration(value)
        if depth > _DEEPEST:
            self._cut += 1
            if self._cut > _MOST_CUT:
                raise RecursionError
        if depth > _DEEPEST or id(value) in self._above:
            return marker(value)
        self._above.add(id(value))
        try:
            return self._inside(value, depth + 1)
        finally:
            self._above.discard(id(value))

    def _inside(self, value: Any, depth: int) -> Any:
        if isinstance(value, enum.Enum):
            return self.plain(value.value, depth)
        if isinstance(value, Mapping):
            return keyed(value, lambda part: self.plain(part, depth))
        if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
            return [self.plain(item, depth) for item in value]
        if isinstance(value, (set, frozenset)):
            return [self.plain(item, depth) for item in _sorted(value)]
        try:
            answer = _form_of(value)
        except Exception:  # it has none, or its own code raised
            return marker(value)
        return self.plain(answer, depth)


def _form_of(value: Any) -> Any:
    if too_many_elements(value):
        return marker(value)
    table = plain_table(value)
    if table is not None:
        return table
    if getattr(getattr(value, "dtype", None), "kind", "") == "M":  # `tolist` gives numbers for what is finer than microseconds
        return _moments(value.astype("U").tolist() if getattr(value, "shape", None) else str(value))
    return own_words(value)


def _moments(texts: Any) -> Any:
    if isinstance(texts, list):
        return [_moments(text) for text in texts]
    return None if texts == "NaT" else texts


def _key(key: Any, part: Callable[[Any], Any]) -> str:
    if isinstance(key, str):
        return str.__str__(key)
    told = part(key)
    return told if isinstance(told, str) else json.dumps(told)


def _sorted(items: Any) -> List[Any]:
    try:
        return sorted(items)
    except Exception:  # items that do not compare
        return list(items)


_NO_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
