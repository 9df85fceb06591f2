"""From what travelled to one value of a well-known class: paths, members, moments, durations, ids, decimals, byte arrays.

Used by `conversion`. A reading gives a value that is of its class already back untouched, and raises `Misfit` for what
it cannot read; nothing else escapes, whatever the class itself raises.
"""

import contextlib
import datetime
import decimal
import enum
import functools
import os
import pathlib
import re
import reprlib
import uuid
from typing import Any, Callable, Optional, Tuple

from ..wire.plain import to_plain

Convert = Callable[[Any], Any]

_MAX_REPR = 60
_VALUES_SHOWN = 12

_MOMENT = re.compile(r"(?P<head>.*?\d)(?:\.(?P<fraction>\d+))?(?P<zone>[zZ]|[+-]\d\d:\d\d(?::\d\d)?)?", re.ASCII | re.DOTALL)
_DURATION = re.compile(
    r"(?P<sign>[+-]?)P(?=[\dT])(?:(?P<weeks>{0})W)?(?:(?P<days>{0})D)?"
    r"(?:T(?=\d)(?:(?P<hours>{0})H)?(?:(?P<minutes>{0})M)?(?:(?P<seconds>{0})S)?)?".format(r"\d+(?:\.\d+)?"),
    re.ASCII | re.IGNORECASE,
)


class Misfit(Exception):
    """A value, or a part of it, cannot become what is annotated.

    Attributes:
        value: the part at fault; `where`: the path to it, such as `[3].x`.
        allowed: what could stand there; `reason`: what more there is to say.
    """

    def __init__(self, value: Any, allowed: str, reason: str = "", where: str = "") -> None:
        super().__init__(allowed)
        self.value = value
        self.allowed = allowed
        self.reason = reason
        self.where = where

    def below(self, step: str) -> "Misfit":
        """The same, seen from one level up."""
        return Misfit(self.value, self.allowed, self.reason, step + self.where)


def reading_for(kind: type) -> Optional[Convert]:
    """The reading that gives instances of a class; None for a class that is not among those known here."""
    if kind is os.PathLike:
        return _reading(kind, "text (a path)", lambda value: pathlib.Path(_text(value)))
    if issubclass(kind, enum.Enum):
        return _reading(kind, _members_of(kind), lambda value: _member(kind, value))
    for base, allowed, read in _READ:
        if issubclass(kind, base):
            return _reading(kind, allowed, functools.partial(read, kind))
    return None


def short_repr(value: Any) -> str:
    """A repr of at most 60 characters."""
    text = " ".join(_SHORT.repr(value).split())
    return text if len(text) <= _MAX_REPR else text[: _MAX_REPR - 3] + "..."


def _short() -> reprlib.Repr:
    short = reprlib.Repr()
    short.maxstring = short.maxother = short.maxlong = _MAX_REPR
    return short


_SHORT = _short()


class _NotThis(Exception):
    """Of a type that is never read so: there is no reason beyond what is allowed."""


def _reading(kind: type, allowed: str, read: Convert) -> Convert:
    def convert(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return read(value)
        except _NotThis:
            raise Misfit(value, allowed) from None
        except Exception as error:
            raise Misfit(value, allowed, str(error)) from None

    return convert


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise _NotThis


def _members_of(kind: Any) -> str:
    members = list(kind)[:_VALUES_SHOWN]
    more = ", ..." if len(kind) > len(members) else ""
    values = ", ".join(short_repr(member.value) for member in members)
    names = ", ".join(member.name for member in members)
    return "one of %s%s (or by name: %s%s)" % (values, more, names, more)


def _member(kind: Any, value: Any) -> Any:
    with contextlib.suppress(Exception):  # `_missing_` of a user's class raises what it likes.
        return kind(value)
    for member in kind:  # A value such as a tuple or a path came in its plain form.
        if _travelled(member.value) == value:
            return member
    if isinstance(value, str) and value in kind.__members__:
        return kind.__members__[value]
    raise _NotThis


def _travelled(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_travelled(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bytes, dict)):
        return value
    try:
        return to_plain(value)
    except TypeError:
        return _NotThis


def _moment(kind: Any, value: Any) -> Any:
    """A datetime or time from ISO 8601 text; Python before 3.11 knows neither `Z` nor fractions of any length."""
    if isinstance(value, datetime.datetime):  # for a class derived from it
        return kind.fromisoformat(value.isoformat())
    match = _MOMENT.fullmatch(_text(value))
    if match is None:
        raise _NotThis
    fraction, zone = match.group("fraction"), match.group("zone") or ""
    return kind.fromisoformat(
        match.group("head") + (".%s" % fraction[:6].ljust(6, "0") if fraction else "") + ("+00:00" if zone in ("z", "Z") else zone)
    )


def _date(kind: Any, value: Any) -> Any:
    """A datetime is a date too: what was sent as one stays one."""
    text = _text(value)
    return kind.fromisoformat(text) if "T" not in text or kind is not datetime.date else _moment(datetime.datetime, text)


def _duration(kind: Any, value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return kind(seconds=value)
    if isinstance(value, datetime.timedelta):
        return kind(days=value.days, seconds=value.seconds, microseconds=value.microseconds)
    match = _DURATION.fullmatch(_text(value))
    if match is None:
        raise _NotThis
    parts = {name: float(text) for name, text in match.groupdict().items() if name != "sign" and text}
    found = kind(**parts)
    return -found if match.group("sign") == "-" else found


def _decimal(kind: Any, value: Any) -> Any:
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return kind(str(value))  # 0.1 is meant, not the nearest binary fraction
    raise _NotThis


def _bytes(kind: Any, value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return kind(value)
    raise _NotThis


#: (class, what is allowed, from a class and what came to the value). The first that a class derives from decides.
_READ: Tuple[Tuple[type, str, Callable[[Any, Any], Any]], ...] = (
    (pathlib.PurePath, "text (a path)", lambda kind, value: kind(_text(value))),
    (datetime.datetime, "a datetime as ISO 8601 text, such as 2024-05-31T12:00:00", _moment),
    (datetime.date, "a date as ISO 8601 text, such as 2024-05-31", _date),
    (datetime.time, "a time as ISO 8601 text, such as 12:30:00", _moment),
    (datetime.timedelta, "a number of seconds, or a duration as ISO 8601 text, such as P1DT2H30M", _duration),
    (uuid.UUID, "a UUID as text, such as 12345678-1234-5678-1234-567812345678", lambda kind, value: kind(_text(value))),
    (decimal.Decimal, 'a decimal number, best as text, such as "0.10"', _decimal),
    (bytes, "bytes", _bytes),
    (bytearray, "bytes", _bytes),
    (memoryview, "bytes", _bytes),
)
