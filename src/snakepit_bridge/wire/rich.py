"""Types that come back as they went: taken apart into a letter and plain content, and put together again. One table for all codecs.

MessagePack writes the letter as the type of an extension, JSON as the key of a mark. Nothing is imported, or made, that a
sender names: it chooses among the classes here. Letters keep their meaning for ever, since stores keep what is written.
"""

import datetime
import decimal
import os
import pathlib
import uuid
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

#: A letter, and content of which a codec writes all but containers and large integers as it is.
Taken = Tuple[str, Any]

#: Containers; what is in them is marked one by one.
TUPLE, SET, FROZENSET = "T", "S", "F"

_PATHS: Dict[str, Any] = {
    "PurePosixPath": pathlib.PurePosixPath,
    "PureWindowsPath": pathlib.PureWindowsPath,
    # A path of the other system arrives as a pure one: nothing can be opened by it here.
    "PosixPath": pathlib.PurePosixPath if os.name == "nt" else pathlib.PosixPath,
    "WindowsPath": pathlib.WindowsPath if os.name == "nt" else pathlib.PureWindowsPath,
}

# Taking apart -----------------------------------------------------------------------------------------------------------


def taken(value: Any) -> Optional[Taken]:
    """A value of a type listed here, or derived from one, taken apart; None: it is none."""
    take = _TAKE.get(type(value))
    if take is None:
        take = next((take for base, take in _TAKE.items() if isinstance(value, base)), None)
    return None if take is None else take(value)


def _datetime(value: datetime.datetime) -> Taken:
    if type(value) is not datetime.datetime:
        _refuse_nanoseconds(value, "nanosecond", "to_datetime64")
    day, time = datetime.date(value.year, value.month, value.day), datetime.time(value.hour, value.minute, value.second, value.microsecond)
    naive = datetime.datetime.combine(day, time)  # of exactly this class
    return "M", [naive.isoformat(), value.fold, _zone_taken(value.tzinfo, value)]


def _date(value: datetime.date) -> Taken:
    return "D", datetime.date(value.year, value.month, value.day).isoformat()


def _time(value: datetime.time) -> Taken:
    naive = datetime.time(value.hour, value.minute, value.second, value.microsecond)
    return "C", [naive.isoformat(), value.fold, _zone_taken(value.tzinfo, None)]


def _timedelta(value: datetime.timedelta) -> Taken:
    if type(value) is not datetime.timedelta:
        _refuse_nanoseconds(value, "nanoseconds", "to_timedelta64")
    return "L", [value.days, value.seconds, value.microseconds]


def _refuse_nanoseconds(value: Any, name: str, cure: str) -> None:
    """Of pandas' moments and durations, which are Python's and more."""
    if getattr(value, name, 0):
        raise TypeError("its nanoseconds would be lost; send value.%s(), or value.round('us')" % cure)


def _zone(value: datetime.tzinfo) -> Taken:
    return "Z", _zone_taken(value, None)


def _path(value: pathlib.PurePath) -> Taken:
    windows = isinstance(value, pathlib.PureWindowsPath)
    name = type(value).__name__
    return "P", [name if name in _PATHS else "PureWindowsPath" if windows else "PurePosixPath", str(value)]


def _zone_taken(zone: Optional[datetime.tzinfo], moment: Optional[datetime.datetime]) -> Any:
    """[key of the zone's rules, days, seconds, microseconds, name]; 0 for UTC, None for no zone.

    The difference to UTC is what a zone becomes whose rules nobody knows where it arrives.
    """
    if zone is None:
        return None
    if zone is datetime.timezone.utc:
        return 0
    key = getattr(zone, "key", None) if type(zone).__module__.split(".")[-1] in ("zoneinfo", "_zoneinfo") else None
    offset = zone.utcoffset(moment)
    if offset is None:
        if key is None and not isinstance(key, str):
            raise TypeError("its time zone has no fixed difference to UTC, and no key; give it a datetime.timezone or a ZoneInfo")
        offset = datetime.timedelta(0)
    name = zone.tzname(moment)
    if type(zone) is datetime.timezone and name == datetime.timezone(offset).tzname(None):
        name = None
    return [key, offset.days, offset.seconds, offset.microseconds, name]


_TAKE: Dict[type, Callable[[Any], Taken]] = {
    datetime.datetime: _datetime,  # before `date`, which it is derived from
    datetime.date: _date,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
    datetime.tzinfo: _zone,
    datetime.timezone: _zone,
    decimal.Decimal: lambda value: ("N", decimal.Decimal.__str__(value)),
    uuid.UUID: lambda value: ("U", "%032x" % value.int),
    complex: lambda value: ("X", [value.real, value.imag]),
    pathlib.PurePath: _path,
    **dict.fromkeys({type(pathlib.Path()), type(pathlib.PurePath())} | {pathlib.PurePosixPath, pathlib.PureWindowsPath}, _path),
}

#: Their exact types: no container, and fit for keys.
LEAVES: FrozenSet[type] = frozenset(_TAKE)

# Putting together -------------------------------------------------------------------------------------------------------


def put_together(letter: str, content: Any) -> Any:
    """What `taken` took apart.

    Raises:
        ValueError: a letter that is not ours, or content that does not belong to it.
    """
    put = _PUT.get(letter)
    if put is None:
        raise ValueError("a mark %.20r that is not ours" % letter)
    try:
        return put(content)
    except RecursionError:
        raise
    except Exception as error:  # whatever a class says of content that no sender of ours writes
        raise ValueError("a mark %r with content that is not ours (%s)" % (letter, type(error).__name__)) from None


def _items(kind: Callable[[List[Any]], Any]) -> Callable[[Any], Any]:
    def put(content: Any) -> Any:
        if type(content) is not list:
            raise TypeError
        return kind(content)

    return put


def _of_text(kind: Callable[[str], Any]) -> Callable[[Any], Any]:
    def put(content: Any) -> Any:
        if type(content) is not str:
            raise TypeError
        return kind(content)

    return put


def _put_datetime(content: Any) -> datetime.datetime:
    text, fold, zone = content
    return datetime.datetime.fromisoformat(text).replace(tzinfo=_put_zone(zone), fold=fold)


def _put_time(content: Any) -> datetime.time:
    text, fold, zone = content
    return datetime.time.fromisoformat(text).replace(tzinfo=_put_zone(zone), fold=fold)


def _put_path(content: Any) -> Any:
    name, text = content
    return _PATHS[name](text)


def _put_complex(content: Any) -> complex:
    real, imaginary = content
    if type(real) is not float or type(imaginary) is not float:
        raise TypeError
    return complex(real, imaginary)


def _put_zone(content: Any) -> Optional[datetime.tzinfo]:
    if content is None:
        return None
    if content == 0:
        return datetime.timezone.utc
    key, days, seconds, microseconds, name = content
    if key is not None:
        zone = _zone_of_key(key)
        if zone is not None:
            return zone
    offset = datetime.timedelta(days, seconds, microseconds)
    return datetime.timezone(offset) if name is None else datetime.timezone(offset, name)


def _zone_of_key(key: str) -> Optional[datetime.tzinfo]:
    """The zone by the rules that are known here; Python 3.8 has none, and no system need have them."""
    try:
        from zoneinfo import ZoneInfo

        return ZoneInfo(key)
    except (ImportError, ValueError, OSError, KeyError):  # not found is a KeyError
        return None


_PUT: Dict[str, Callable[[Any], Any]] = {
    TUPLE: _items(tuple),
    SET: _items(set),
    FROZENSET: _items(frozenset),
    "M": _put_datetime,
    "D": _of_text(datetime.date.fromisoformat),
    "C": _put_time,
    "L": lambda content: datetime.timedelta(*content),
    "Z": _put_zone,
    "N": _of_text(decimal.Decimal),
    "U": _of_text(uuid.UUID),
    "P": _put_path,
    "X": _put_complex,
}
