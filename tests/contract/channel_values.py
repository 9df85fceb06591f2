"""Values that every protocol must carry exactly, and what exactly means."""

from __future__ import annotations

import datetime
import decimal
import math
import pathlib
import uuid
from typing import Any

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    127,
    128,
    255,
    256,
    65535,
    65536,
    -32769,
    2**31,
    2**53 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    2**64,
    -(2**63),
    -(2**63) - 1,
    10**400,
    -(3**5000),
    0.0,
    -0.0,
    1.0,
    1.5,
    5e-324,
    1.7976931348623157e308,
    math.inf,
    -math.inf,
    math.nan,
    "",
    "a",
    "é漢😀",
    "\x00\x1f\x7f\u2028\u2029",
    '"quotes" and \\backslashes\\',
    "x" * 70_000,
    b"",
    b"\x00",
    bytes(range(256)),
    b"\xff" * 70_000,
    [],
    [[[[]]]],
    [1, 1.0, True, "1", b"1", None],
    list(range(1000)),
    {},
    {"": ""},
    {"a": {"b": {"c": [1, {"d": b"\x00"}]}}},
    {"\x00b": "a key that looks like a mark of ours"},
    {"\x00d": [["k", 1]]},
    {1: "int", "1": "text"},
    {None: 0, True: 1, 2.5: 2, b"k": 3, 2**70: 4},
    {f"key-{number}": number for number in range(300)},
    (),
    (1, ("a", [()])),
    {"deep": [(b"x" * 20_000, {1, (2, 3)})]},
    set(),
    frozenset([1, frozenset(["a"])]),
    {(1, (2,)): "tuple", frozenset([1]): "frozenset", uuid.UUID(int=5): "id"},
    datetime.datetime(2024, 1, 2, 3, 4, 5, 6),
    datetime.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
    datetime.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=datetime.timezone(datetime.timedelta(hours=1), "here")),
    datetime.date(2024, 1, 2),
    datetime.time(1, 2, 3, 4, tzinfo=datetime.timezone(datetime.timedelta(minutes=-90))),
    datetime.timedelta(days=-1, microseconds=1),
    datetime.timezone(datetime.timedelta(hours=5, minutes=30)),
    decimal.Decimal("1.10"),
    uuid.UUID(int=2**127),
    pathlib.Path("/a/b"),
    pathlib.PureWindowsPath("c:\\a"),
    1.5 - 0.0j,
]


def same(found: Any, expected: Any) -> bool:
    """Equal and of the same type, at any depth; a NaN is a NaN, and zero has its sign."""
    if type(found) is not type(expected):
        return False
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    if isinstance(expected, dict):
        return len(found) == len(expected) and all(
            same(key, wanted) and same(found[key], expected[wanted]) for key, wanted in zip(found, expected, strict=True)
        )
    if isinstance(expected, float):
        return math.copysign(1, found) == math.copysign(1, expected) and (found == expected or (math.isnan(found) and math.isnan(expected)))
    if isinstance(expected, (datetime.datetime, datetime.time, datetime.timezone, decimal.Decimal, complex)):
        return repr(found) == repr(expected)  # `==` sees neither zones nor folds, digits nor signs of zero
    return bool(found == expected)
