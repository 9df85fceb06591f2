"""What an Arrow IPC stream may be before a library reads it: whole, not compressed, not nested without end.

A library takes memory for a compressed column before it looks at it, as much as the sender says. Nothing of ours is compressed, so
none needs to be. The heads of the messages are FlatBuffers: little-endian tables whose fields are found by an offset per field.
"""

import struct
from typing import List, Tuple

from ..malformed import Malformed

_CONTINUED = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3
#: Lists of structs of lists: more than anybody has, fewer than the stacks of the libraries have room for.
_DEEPEST = 64


def check_stream(stream: memoryview, most_items: int = 2**63) -> None:
    """Look at the head of each message.

    Args:
        stream: all of it.
        most_items: as many may a column have; polars ends the process where it cannot have the memory for what a head says.

    Raises:
        Malformed: it is cut short, compressed, nested too deeply or no stream.
    """
    try:
        _check(stream, most_items)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise Malformed("no stream of Arrow's IPC format: its end is missing, or a head points outside of it (%s)" % error) from error


def _check(stream: memoryview, most_items: int) -> None:
    at, seen = 0, 0
    while at < stream.nbytes:
        mark, size = struct.unpack_from("<II", stream, at)
        if mark != _CONTINUED:
            raise Malformed("no stream of Arrow's IPC format: at byte %d no message begins" % at)
        at += 8
        if size == 0:
            break
        body = _check_message(stream[at : at + size], most_items, first=not seen)
        at += size + body
        seen += 1
    if not seen or at != stream.nbytes:
        raise Malformed("no stream of Arrow's IPC format: its %d bytes end at byte %d" % (stream.nbytes, at))


def _check_message(head: memoryview, most_items: int, *, first: bool) -> int:
    """The length of the body that follows."""
    message = _Table(head, _offset(head, 0))
    kind = message.number("<B", 1)
    if kind not in ((_SCHEMA,) if first else (_DICTIONARY, _BATCH)):
        raise Malformed("no stream of Arrow's IPC format: a message of kind %d" % kind)
    header = message.table(2)
    if header is None:
        raise Malformed("no stream of Arrow's IPC format: a message without a header")
    if kind == _SCHEMA:
        _check_fields(header.tables(1), _DEEPEST, [len(head)])
    batch = header.table(1) if kind == _DICTIONARY else header
    body = message.number("<q", 3)
    if body < 0:
        raise Malformed("no stream of Arrow's IPC format: a body of %d bytes" % body)
    if kind != _SCHEMA:
        if batch is None or batch.table(3) is not None:
            raise Malformed("a stream of Arrow's IPC format that is compressed, which nothing of ours is")
        _check_batch(batch, body, most_items)
    return body


def _check_batch(batch: "_Table", body: int, most_items: int) -> None:
    """Columns and buffers where they can be."""
    rows, buffers = batch.number("<q", 0), batch.pairs(2)
    for length, missing in [*batch.pairs(1), (rows, 0)]:
        if not 0 <= missing <= length <= most_items:
            raise Malformed("a column of %d items, of which %d are missing" % (length, missing))
    for offset, length in buffers:
        if offset < 0 or length < 0 or offset + length > body:
            raise Malformed("a column at %d of %d bytes, in a body of %d" % (offset, length, body))
    if any(not 0 <= parts <= len(buffers) for parts in batch.numbers(4)):
        raise Malformed("a column of more buffers than there are")


def _check_fields(found: "List[_Table]", levels: int, room: List[int]) -> None:
    """Children of children. `room` is how many there may be in all: a false head may name one field again and again."""
    room[0] -= len(found)
    if found and (levels <= 0 or room[0] < 0):
        raise Malformed("columns nested in more than %d levels" % _DEEPEST)
    for field in found:
        field.text(0)
        _check_fields(field.tables(5), levels - 1, room)


class _Table:
    """A table of a FlatBuffer: fields by their number, absent ones by their default."""

    __slots__ = ("_at", "_data", "_fields")

    def __init__(self, data: memoryview, at: int) -> None:
        (back,) = struct.unpack_from("<i", data, at)
        start = at - back
        if start < 0:
            raise IndexError
        (size,) = struct.unpack_from("<H", data, start)
        self._data, self._at = data, at
        self._fields = [offset for (offset,) in struct.iter_unpack("<H", data[start + 4 : start + size - size % 2])]

    def _position(self, field: int) -> int:
        offset = self._fields[field] if field < len(self._fields) else 0
        return self._at + offset if offset else 0

    def number(self, letter: str, field: int) -> int:
        """A number of `struct`'s format `letter`."""
        at = self._position(field)
        return int(struct.unpack_from(letter, self._data, at)[0]) if at else 0

    def table(self, field: int) -> "_Table | None":
        """Another table."""
        at = self._position(field)
        return _Table(self._data, at + _offset(self._data, at)) if at else None

    def text(self, field: int) -> str:
        """A text in UTF-8."""
        at = self._position(field)
        if not at:
            return ""
        at += _offset(self._data, at)
        return str(self._data[at + 4 : at + 4 + _offset(self._data, at)], "utf-8")

    def pairs(self, field: int) -> List[Tuple[int, int]]:
        """A vector of pairs of numbers of 64 bits."""
        return list(struct.iter_unpack("<qq", self._vector(field, 16)))  # type: ignore[arg-type,unused-ignore]

    def numbers(self, field: int) -> List[int]:
        """A vector of numbers of 64 bits."""
        return [number for (number,) in struct.iter_unpack("<q", self._vector(field, 8))]

    def _vector(self, field: int, size: int) -> memoryview:
        at = self._position(field)
        if not at:
            return self._data[:0]
        at += _offset(self._data, at)
        end = at + 4 + size * _offset(self._data, at)
        if end > len(self._data):
            raise IndexError
        return self._data[at + 4 : end]

    def tables(self, field: int) -> "List[_Table]":
        """A vector of tables."""
        at = self._position(field)
        if not at:
            return []
        at += _offset(self._data, at)
        (length,) = struct.unpack_from("<I", self._data, at)
        if length * 4 > len(self._data):
            raise IndexError
        places = [at + 4 + 4 * index for index in range(length)]
        return [_Table(self._data, place + _offset(self._data, place)) for place in places]


def _offset(data: memoryview, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
