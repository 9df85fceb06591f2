"""Values that every codec gives back equal and of the same type: one table for all of them.

Nothing but the standard library, as Python 3.8 has it: the worker SDK's tests run it there.
"""

from __future__ import annotations

import datetime
import math
from typing import Any

_UTC = datetime.timezone.utc  # noqa: UP017 - Python 3.8 has no datetime.UTC
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
    "empty ones": [[], {}, "", b"", [[]], {"": {}}, [{}]],
    "a call": [1, 5, "add", {"a": 1, "b": [1, 2, 3], "name": "x"}, {"window": [1024, 4_194_304], "session": None}],
}


def as_it_arrives(value: Any) -> Any:
    """What the other side gets, in a form that compares by type and sign too: lists for tuples, pairs for dicts."""
    if isinstance(value, (list, tuple)):
        return ["list", *map(as_it_arrives, value)]
    if isinstance(value, dict):
        return ["dict", *([_key(key), as_it_arrives(item)] for key, item in value.items())]
    if isinstance(value, float):
        return "nan" if math.isnan(value) else ("float", value, math.copysign(1, value))
    return type(value).__name__, value


def _key(key: Any) -> Any:
    """Tuples in keys stay tuples."""
    return ("tuple", *map(_key, key)) if isinstance(key, tuple) else as_it_arrives(key)
