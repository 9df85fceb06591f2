"""Values that every codec gives back equal and of the same type: one table for all of them.

Nothing but the standard library, as Python 3.8 has it: the worker SDK's tests run it there.
"""

from __future__ import annotations

import datetime
import decimal
import math
import pathlib
import uuid
from typing import Any

_UTC = datetime.timezone.utc  # noqa: UP017 - Python 3.8 has no datetime.UTC
_EAST = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
_NAMED = datetime.timezone(datetime.timedelta(seconds=-3723), "here")
_LONG = 10**6000 + 7  # more digits than interpreters read or write

#: A name and a value each.
TABLE = {
    "none": None,
    "booleans": [True, False, {True: False}],
    "one": [1, 1.0, True],
    "zeros": [0, 0.0, -0.0, False],
    "keys of all kinds": {"1": "text", 1: "int", None: "none", 2.5: "float", b"1": "bytes", (1, "a"): "tuple", (): "nothing"},
    "floats": [0.1, 1e308, -1e-308, 5e-324, 2.0**60],
    "no numbers": [math.nan, math.inf, -math.inf, {"a": math.nan}],
    "keys that are no numbers": {math.inf: 1, -math.inf: 2},
    "64 bits": [2**63 - 1, -(2**63), 2**64 - 1],
    "beyond 64 bits": [2**64, -(2**63) - 1, 2**71 - 1, 2**71, -(2**71), -(2**71) - 1, 10**30],
    "an int alone": 2**64,
    "thousands of digits": [_LONG, -_LONG, {"a": (_LONG,)}],
    "large keys": {2**64: 1, -(2**64): 2, _LONG: {_LONG: [_LONG]}, (_LONG, (2**70,)): 3, "a": 4},
    "large beside others": [2**64, {"a": b"\x00\xff", "b": [1.5, None]}, datetime.datetime(2024, 1, 2, tzinfo=_UTC)],
    "texts": ["", "naïve", "日本語", "\U0001f40d", "\u2028\u2029", '"\\/\b\f\n\r\t', "\x00", "\x7f\x80", "\ud7ff\ue000\uffff"],
    "text with escapes": ["\\u0000", "\\ud800", "\n" * 5000 + "\\ud800"],
    "bytes": [b"", b"\x00", b"\xff" * 3, bytes(range(256))],
    "large bytes": [b"a" * 4095, b"b" * 4096, {"c": b"c" * 100_000}, b"a" * 4095, {b"d" * 5000: b"e" * 5000}],
    "large bytes alone": b"\x00\x01" * 50_000,
    "moments": [datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=_UTC), datetime.datetime(1969, 1, 2, 3, 4, 5, 999_999, tzinfo=_UTC)],
    "first and last moment": [datetime.datetime(1, 1, 1, tzinfo=_UTC), datetime.datetime.max.replace(tzinfo=_UTC)],
    "a moment as a key": {datetime.datetime(2024, 1, 2, tzinfo=_UTC): 1},
    "what looks like a mark": [{"\x00b": "YQ=="}, {"\x00i": "ff"}, {"\x00d": []}, {"\x00t": 1}, {"\x00": 1}, {"\x00x": {"\x00b": b"a"}}],
    "what looks like a gap": [{"\x00b": "\x00"}, b"a" * 5000, {"\x00b": "\x00"}, '{"\x00b":"\x00"}', '{"\\u0000b":"\\u0000"}'],
    "two keys, the first like a mark": {"\x00b": "\x00", "a": b"a" * 5000},
    "tuples": [(), (1,), ((), [()]), {"a": (1, [(2,)])}, (b"a" * 5000, 2**70), ("\x00b",), ({"\x00T": [1]},)],
    "sets": [set(), frozenset(), {1, "a", None, (1, (2,))}, frozenset([frozenset([1]), 2**70]), [{(): ({1},)}]],
    "keys of the richer types": {
        frozenset([1, (2,)]): 1,
        (decimal.Decimal("1.10"), (uuid.UUID(int=5),)): 2,
        datetime.date(2024, 1, 2): 3,
        pathlib.PurePosixPath("/a"): 4,
        1 + 2j: 5,
        datetime.timedelta(1): {datetime.time(1): 6},
    },
    "dates and times": [
        datetime.date(1, 1, 1),
        datetime.date.max,
        datetime.time(1, 2),
        datetime.time(1, 2, 3, 4, tzinfo=_EAST, fold=1),
        datetime.datetime(2024, 1, 2, 3, 4, 5, 6),
        datetime.datetime(2024, 1, 2, tzinfo=_EAST),
        datetime.datetime(2024, 1, 2, tzinfo=_NAMED, fold=1),
        datetime.datetime(1, 1, 1, tzinfo=_EAST),
        datetime.datetime.max.replace(tzinfo=_NAMED),
        datetime.timedelta(0),
        datetime.timedelta.min,
        datetime.timedelta.max,
        [_UTC, _EAST, _NAMED],
    ],
    "decimals": [decimal.Decimal(text) for text in ("0", "-0", "1.10", "1E+5", "-Infinity", "12345678901234567890.12345678901234567890")],
    "ids and paths": [
        uuid.UUID(int=5),
        pathlib.PurePosixPath("/a/b"),
        pathlib.PurePosixPath(),
        pathlib.PureWindowsPath("c:\\a"),
        pathlib.Path("a"),
    ],
    "complex numbers": [1j, complex(-0.0, 2.5), complex(math.inf, 0.0)],
    "empty ones": [[], {}, "", b"", [[]], {"": {}}, [{}]],
    "a call": [1, 5, "add", {"a": 1, "b": [1, 2, 3], "name": "x"}, {"window": [1024, 4_194_304], "session": None}],
}


def as_it_arrives(value: Any) -> Any:
    """A value in a form that compares by type and sign too, and by what `==` does not see of times."""
    kind = type(value).__name__
    if isinstance(value, (list, tuple)):
        return [kind, *map(as_it_arrives, value)]
    if isinstance(value, dict):
        return [kind, *([as_it_arrives(key), as_it_arrives(item)] for key, item in value.items())]
    if isinstance(value, (set, frozenset)):
        return [kind, sorted(map(as_it_arrives, value), key=repr)]
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("float", value, math.copysign(1, value))
    if isinstance(value, complex):
        return [kind, as_it_arrives(value.real), as_it_arrives(value.imag)]
    if isinstance(value, (datetime.datetime, datetime.time)):
        return [kind, value.replace(tzinfo=None).isoformat(), value.fold, repr(value.tzinfo)]
    return (kind, repr(value)) if isinstance(value, (datetime.tzinfo, decimal.Decimal)) else (kind, value)
