"""Protocol buffers by hand: messages as bytes from field numbers, and back. Knows no .proto, so that a wrong one cannot agree with it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any


def message(*fields: tuple[int, Any]) -> bytes:
    """(number, value) pairs: bool and int as varints, float as a double, text and bytes with their length."""
    return b"".join(_field(number, value) for number, value in fields)


def entry(key: str, value: Any) -> bytes:
    """One entry of a map from text."""
    return message((1, key), (2, value))


def fields(data: bytes) -> dict[int, list[Any]]:
    """All fields by number: whole numbers, doubles (as floats), and what has a length, as bytes."""
    found: dict[int, list[Any]] = {}
    for number, _, value in read(data):
        found.setdefault(number, []).append(value)
    return found


def text(data: bytes, number: int) -> str:
    """A text field; empty if it is not there."""
    return fields(data).get(number, [b""])[-1].decode()


def entries(data: bytes, number: int) -> dict[str, bytes]:
    """A map's entries, whose values have a length."""
    return {text(item, 1): fields(item).get(2, [b""])[-1] for item in fields(data).get(number, ())}


def read(data: bytes) -> Iterator[tuple[int, int, Any]]:
    """(number, wire type, value) of all fields, in their order."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _read_varint(data, at)
            yield number, kind, value
        elif kind == 1:
            yield number, kind, struct.unpack_from("<d", data, at)[0]
            at += 8
        else:
            assert kind == 2, f"wire type {kind}"
            size, at = _read_varint(data, at)
            assert at + size <= len(data), "cut short"
            yield number, kind, data[at : at + size]
            at += size


def _field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(int(value) & (2**64 - 1))
    if isinstance(value, float):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
