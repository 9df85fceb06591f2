"""What JSON makes of any value: the plainer forms that the public service and other languages get.

Tuples, sets and arrays become lists, moments their ISO text, objects what they say of themselves. What says nothing becomes a
marker that names its type, so that one odd value does not cost the rest.
"""

import base64
import contextlib
import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import uuid
from typing import Any, Callable, Dict, List, Mapping, Optional

from ..wire.plain import duration
from . import detail

#: The marker of a value that has no plain form.
MARKER = "__ffi_unserializable__"
#: Deeper than this nothing is looked at: it may contain itself.
_DEEPEST = 200
#: Some 4,300 decimal digits.
_MOST_BITS = 14_000

_AS_TEXT = (datetime.datetime, datetime.date, datetime.time, decimal.Decimal, uuid.UUID, pathlib.PurePath, datetime.tzinfo)


def dumps(value: Any) -> bytes:
    """JSON of any value, UTF-8. Never raises because of what the value is."""
    try:
        return _ENCODER.encode(value).encode("utf-8")
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):  # not JSON as it is; numbers that are none are such
        return json.dumps(plain(value), separators=(",", ":"), allow_nan=False).encode("ascii")


def plain(value: Any, depth: int = 0) -> Any:
    """The same in None, bool, int, float, str, list and dict alone. Numbers that are none (NaN, the infinities) become text."""
    if value is None or isinstance(value, (bool, str)):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, enum.Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, int):  # interpreters refuse to write more digits than this
        return int(value) if value.bit_length() <= _MOST_BITS else hex(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _NO_NUMBERS[str(float(value))]
    if depth > _DEEPEST:
        return marker(value)
    if isinstance(value, Mapping):
        return {_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_asdict"):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return [plain(item, depth + 1) for item in _sorted(value)]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(bytes(value)).decode("ascii")
    if isinstance(value, _AS_TEXT):
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    if isinstance(value, datetime.timedelta):
        return duration(value)
    return _by_its_own_word(value, depth)


def marker(value: Any) -> Dict[str, Any]:
    """What stands for a value without a plain form: its type, and what `detail` allows beyond."""
    kind = type(value)
    told = {MARKER: True, "__type__": "%s.%s" % (kind.__module__, kind.__qualname__)}
    text = detail.shown(value)
    return told if text is None else {**told, "__repr__": text}


def _by_its_own_word(value: Any, depth: int) -> Any:
    """What an object gives when it is asked; in the order in which the libraries that have these methods mean them."""
    for ask in _ASKED:
        answer = None
        with contextlib.suppress(Exception):  # the object's own code
            answer = ask(value)
        if answer is not None and answer is not value:
            return plain(answer, depth + 1)
    return marker(value)


def _asked(name: str) -> Callable[[Any], Any]:
    def ask(value: Any) -> Any:
        method = None if isinstance(value, type) else getattr(value, name, None)
        return method() if callable(method) else None

    return ask


def _to_list(value: Any) -> Optional[List[Any]]:
    size = getattr(value, "size", 0)
    if isinstance(size, int) and size > detail.most_elements():
        return None
    return _asked("tolist")(value)  # type: ignore[no-any-return]


def _fields(value: Any) -> Optional[Dict[str, Any]]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return None
    return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}


_ASKED = (_asked("model_dump"), _asked("to_dict"), _asked("_asdict"), _fields, _to_list, _asked("isoformat"))


def _key(key: Any) -> str:
    if isinstance(key, str):
        return str(key)
    return json.dumps(key) if key is None or isinstance(key, (bool, int, float)) else str(plain(key))


def _sorted(items: Any) -> List[Any]:
    try:
        return sorted(items)
    except TypeError:
        return list(items)


_NO_NUMBERS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)
