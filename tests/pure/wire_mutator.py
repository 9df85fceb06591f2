"""Spoils bytes and values of the wire, repeatably: the same seed gives the same spoiled thing on every machine."""

from __future__ import annotations

import datetime
import itertools
import math
import random
from typing import Any

from snakepit_bridge.wire.frames import HOST_CALL_BASE, PIECE
from snakepit_bridge.wire.framing import frame_message

_CLAIMS = (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x04\x00\x00\x00", b"\x00\x00\xff\xff")

#: What is put in besides noise: claimed lengths, extensions, marks, numbers and text at their limits, deep nesting.
_TOKENS = {
    "msgpack": [
        *(head + claim for head in (b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9") for claim in _CLAIMS),
        *(head + b"\xff\xff" for head in (b"\xdc", b"\xde", b"\xc5", b"\xda", b"\xc8", b"\xc4", b"\xd9", b"\xc7")),
        *(b"\xd4\x01a", b"\xc7\x00\x01", b"\xc7\x09\x01\x01" + bytes(8), b"\xc8\x04\x00\x01" + b"\x7f" * 1024, b"\xd4\x05a"),
        *(b"\xd6\xff\xff\xff\xff\xff", b"\xd7\xff" + b"\xff" * 8, b"\xc7\x0c\xff" + bytes(12), b"\xc7\x0c\xff" + b"\xff" * 12),
        *(b"\xc1", b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xcb\x7f\xf8" + bytes(6), b"\xcb\x80" + bytes(7), b"\xa2\xed\xa0"),
        *(b"\x81\x80\x01", b"\x82\x01\x02\x01\x03", b"\x81\x91\x01\x02", b"\x81\x91\x81\x01\x02\x03"),
        *(head * depth for head in (b"\x91", b"\x81", b"\x81\xa1a", b"\xdd\x00\x00\x00\x01") for depth in (3, 40, 1200)),
    ],
    "json": [
        *(b'{"\\u0000%s":%s}' % pair for pair in itertools.product((b"b", b"i", b"t", b"x"), (b"1", b'"YQ=="', b'"f0"', b'"\\u0000"'))),
        *(b'{"\\u0000d":[[%s,1]]}' % key for key in (b"[1,[2]]", b"{}", b'{"\\u0000i":"-fffffffffffffffffffff"}', b"NaN")),
        *(b'{"\\u0000b":"' + b"QUJD" * 1400 + b'"}', b'{"\\u0000i":"' + b"f" * 9000 + b'"}', b"9" * 25, b"9" * 5000),
        *(b"NaN", b"-Infinity", b"1e999", b"-0", b"-0.0", b"1E-400", b"0123", b"\\ud800", b"\\ud83d\\udc0d", b"\\u0000", b"\\", b'"'),
        *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b" \t\r\n", b",", b":", b"[]", b"{}", b"null"),
        *(head * depth for head in (b"[", b'{"a":', b'[{"":', b'{"\\u0000d":[[') for depth in (3, 40, 1200)),
    ],
    "framing": [*_CLAIMS, b"\x00\x00\x00\x00", b"\x00\x00\x00\x01", b"\x04\x00\x00\x01", frame_message(b""), frame_message(b"abc")],
}

#: What noise is made of.
_NOISE = {"msgpack": bytes(range(256)), "framing": b"\x00\x00\x00\x01\x05\x64\xff", "json": b'{}[]",:\\ubdit0123456789abcdef-.E '}

_ODD_NUMBERS = (0, 1, -1, 2, 5, 7, 20, 2**31, HOST_CALL_BASE, 2**63 - 1, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30, 1 << 40_000)
_ODD_KEYS = (*_ODD_NUMBERS, None, True, 1.5, math.inf, "", "a", "1", "\x00b", "\x00i", b"", b"k", (), (1, (2**70, b""), "a"), "\U0001f40d")
_ODD = (
    *(*_ODD_KEYS, math.nan, -0.0, "x" * 5000, b"b" * 5000, b"\x91", b"[", datetime.datetime(1969, 1, 1, 1, 1, 1, 1, datetime.UTC)),
    *([], {}, [[]], [1, [2]], {"a": None}, {1: 2}, {"\x00b": "\x00"}, {"\x00i": "ff"}, {"\x00d": [[1, 2]]}),
    *({"window": [1, 1]}, {"window": [0, 1]}, {"window": [2**70, 2**70]}, [PIECE, 1, True, b""], [PIECE, 5, False, b"\x93\x01"]),
)


class Mutator:
    """Makes spoiled bytes of sound ones, in the manner of one language."""

    def __init__(self, language: str) -> None:
        self._tokens = _TOKENS[language]
        self._letters = _NOISE[language]

    def spoiled(self, dice: random.Random, sound: bytes, another: bytes) -> bytes:
        """The bytes after one to four changes; seldom noise that was never sound."""
        if dice.random() < 0.02:
            return self._noise(dice, dice.randrange(80))
        data = bytearray(sound)
        for _ in range(dice.choice((1, 1, 1, 1, 2, 2, 3, 4))):
            self._change(dice, data, another)
        return bytes(data)

    def _change(self, dice: random.Random, data: bytearray, another: bytes) -> None:
        place = dice.randrange(len(data) + 1)
        stop = place + dice.choice((0, 1, 1, 1, 2, 4, 9))
        change = dice.randrange(10)
        if change < 4:  # one byte is another: what comes after it often still makes sense
            data[place : place + 1] = (
                self._noise(dice, 1) if change or place == len(data) else bytes([data[place] ^ (1 << dice.randrange(8))])
            )
        elif change == 4:
            del data[place:stop]
        elif change == 5:
            data[place:place] = self._noise(dice, dice.randrange(1, 5))
        elif change == 6:
            data[place:stop] = dice.choice(self._tokens)
        elif change == 7:
            data[place:place] = data[dice.randrange(len(data) + 1) :][:40]
        elif change == 8:
            data[place:] = another[dice.randrange(len(another) + 1) :]
        else:
            del data[place:]

    def _noise(self, dice: random.Random, length: int) -> bytes:
        return bytes(dice.choices(self._letters, k=length))


def reshaped(dice: random.Random, value: Any) -> Any:
    """A value with one part of it, anywhere, gone, doubled, moved or replaced by something odd. It can still travel."""
    if not isinstance(value, (list, tuple, dict)) or not value or dice.random() < 0.1:
        return dice.choice(_ODD)
    items = list(value.items()) if isinstance(value, dict) else list(value)
    place = dice.randrange(len(items))
    change = dice.randrange(12)
    if change == 0:
        del items[place]
    elif change == 1:
        items.insert(dice.randrange(len(items)), items[place])
    elif isinstance(value, dict):
        key, item = items[place]
        items[place] = (dice.choice(_ODD_KEYS), item) if change < 5 else (key, reshaped(dice, item))
    else:
        items[place] = reshaped(dice, items[place])
    return dict(items) if isinstance(value, dict) else items
