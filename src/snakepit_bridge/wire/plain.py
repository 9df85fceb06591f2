"""What travels: plain values as they are, a few well-known types in plain form; and, for the rest, where it was found.

Used by every codec, so that one value means the same on each protocol.
"""

import dataclasses
import datetime
import decimal
import enum
import pathlib
import types
import uuid
from typing import Any, Iterator, Optional, Set, Tuple

_SCALARS = (str, int, float, bytes, bytearray, memoryview, type(None))
_AS_TEXT = (datetime.datetime, datetime.date, datetime.time, uuid.UUID, decimal.Decimal)
_EXACT = ((str, str.__str__), (float, float.__float__), (int, int.__int__), (bytes, bytes))  # type: Any


class Unserialisable(TypeError):
    """A value cannot travel.

    Attributes:
        path: where it was found, such as `['layers'][3].weights`; empty for the value itself.
        type_name: its type.
        reason: why not.
    """

    def __init__(self, path: str, type_name: str, reason: str) -> None:
        super().__init__("%s is a %s: %s" % ("the value" + path, type_name, reason))
        self.path = path
        self.type_name = type_name
        self.reason = reason


def to_plain(value: Any) -> Any:
    """A plain form of a value that is not plain itself.

    Raises:
        TypeError: there is none.
    """
    if isinstance(value, enum.Enum):
        return value.value
    for base, exact in _EXACT:
        if isinstance(value, base):
            return exact(value)
    if isinstance(value, (set, frozenset)):
        return list(value)
    if isinstance(value, types.MappingProxyType):  # a read-only view of a dict
        return dict(value)
    if isinstance(value, _AS_TEXT):
        return value.isoformat() if hasattr(value, "isoformat") else str(value)
    if isinstance(value, datetime.timedelta):
        return _duration(value)
    if isinstance(value, pathlib.PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "dtype") and hasattr(value, "tolist") and not str(value.dtype).startswith("object"):
        return value.tolist()  # NumPy and its like: scalars become numbers, arrays nested lists.
    raise TypeError("it is no plain value (None, bool, int, float, str, bytes, list, tuple, dict), and no plain form of it is known")


def find_culprit(value: Any, cause: BaseException) -> Unserialisable:
    """Name the part of `value` that made an encoder raise `cause`."""
    try:
        for path, part in _walk(value, "", set(), 0):
            problem = _problem(part)
            if problem is not None:
                return Unserialisable(path, _type_name(part), problem)
    except RecursionError:
        return Unserialisable("", _type_name(value), "it is nested too deeply or contains itself")
    except Exception as error:  # a key whose repr() raises
        return Unserialisable("", _type_name(value), "%s; looking for the part at fault raised %s" % (cause, type(error).__name__))
    return Unserialisable("", _type_name(value), str(cause) or type(cause).__name__)


def _walk(value: Any, path: str, above: Set[int], depth: int) -> Iterator[Tuple[str, Any]]:
    yield path, value
    if id(value) in above or depth > 900:
        raise RecursionError
    if isinstance(value, dict):
        children = [("[%s]" % _shown(key), item) for key, item in value.items()]
        for key in value:
            yield from _walk(key, path + " key %s" % _shown(key), above, depth + 1)
    elif isinstance(value, (list, tuple)):
        children = [("[%d]" % index, item) for index, item in enumerate(value)]
    elif isinstance(value, (set, frozenset)):
        children = [("{%r}" % (item,), item) for item in value]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        children = [("." + field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    elif isinstance(value, _SCALARS):
        return
    else:
        try:
            children = [("", to_plain(value))]  # an enum's value, an array's items
        except Exception:
            return  # `value` itself is at fault
    above.add(id(value))
    for step, item in children:
        yield from _walk(item, path + step, above, depth + 1)
    above.discard(id(value))


def _shown(key: Any) -> str:
    """A key as Python writes it; large integers in hexadecimal, since interpreters refuse to write many decimal digits."""
    return "%#x" % key if type(key) is int and key.bit_length() > 64 else repr(key)


def _problem(part: Any) -> Optional[str]:
    if isinstance(part, str):
        return None if _is_unicode(part) else "it holds a lone surrogate, which is no Unicode text; send bytes instead"
    try:
        if isinstance(part, datetime.datetime) and part.tzinfo is not None:
            part.astimezone(datetime.timezone.utc)  # in the year 1 or 9999 that may be outside of all years
        if not isinstance(part, (dict, list, tuple, *_SCALARS)):
            to_plain(part)
    except Exception as error:
        return str(error)
    return None


def _duration(value: datetime.timedelta) -> str:
    """As ISO 8601 has it, and as msgspec writes it: `P1DT2.5S`."""
    sign, value = ("-", -value) if value < datetime.timedelta(0) else ("", value)
    seconds = ("%d.%06d" % (value.seconds, value.microseconds)).rstrip("0").rstrip(".") if value.microseconds else "%d" % value.seconds
    days = "%dD" % value.days if value.days or seconds == "0" else ""
    return "%sP%s%s" % (sign, days, "" if seconds == "0" else "T%sS" % seconds)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _type_name(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else "%s.%s" % (kind.__module__, kind.__qualname__)
