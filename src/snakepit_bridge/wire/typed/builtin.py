"""Bytes in their three types, and lists whose every item is exactly a float. Small `bytes` and lists travel in the frame, readable."""

import array
import math
import struct
import sys
from typing import Any, List, Optional, Sequence

from ..malformed import Malformed
from .packed import Packed, check_size, count, fields, joined, shape, text

#: Fewer floats are not worth a buffer, whatever the threshold: they would have to be looked at for it.
FEW_FLOATS = 1280
_FLOAT = frozenset((float,))
#: What `memoryview.cast` takes, by the kind of number that it is.
_FORMATS = {"c": "c", "?": "?", "f": "f", "d": "d"}
_FORMATS.update(dict.fromkeys("bhilqn", "i"), **dict.fromkeys("BHILQNP", "u"))
_BY_SIZE = {("i", 1): "b", ("i", 2): "h", ("i", 4): "i", ("i", 8): "q", ("u", 1): "B", ("u", 2): "H", ("u", 4): "I", ("u", 8): "Q"}


def pack_bytes(value: bytes, threshold: int = 0) -> Optional[Packed]:
    """Bytes, if there are so many that they are not for reading."""
    return Packed("bytes", None, [memoryview(value)]) if len(value) >= threshold else None


def unpack_bytes(meta: Any, buffers: List[memoryview]) -> bytes:
    """A copy: bytes own their memory."""
    return bytes(joined(buffers))


def pack_bytearray(value: bytearray, threshold: int = 0) -> Packed:
    """The array's own memory: it cannot grow or shrink until it was sent."""
    return Packed("bytearray", None, [memoryview(value)])


def unpack_bytearray(meta: Any, buffers: List[memoryview]) -> bytearray:
    """A copy, which may be changed."""
    return bytearray(joined(buffers))


def pack_memoryview(value: memoryview, threshold: int = 0) -> Optional[Packed]:
    """With its shape and its kind of number. None for records, numbers in foreign byte order and empty ones of several dimensions."""
    kind = _FORMATS.get(value.format.lstrip("@"))
    if kind is None or (value.ndim != 1 and not value.nbytes) or (sys.byteorder != "little" and value.itemsize > 1):
        return None
    data = value.cast("B") if value.c_contiguous else memoryview(value.tobytes())
    return Packed("memoryview", [kind, value.itemsize, list(value.shape or ())], [data])


def unpack_memoryview(meta: Any, buffers: List[memoryview]) -> memoryview:
    """A view of what arrived, which is read-only."""
    kind, itemsize, lengths = fields(meta, 3)
    lengths, itemsize, kind = shape(lengths), count(itemsize), text(kind)
    data = joined(buffers)
    check_size(data, math.prod(lengths) * itemsize)
    letter = _BY_SIZE.get((kind, itemsize), kind)
    if _FORMATS.get(letter) != kind or struct.calcsize(letter) != itemsize or (itemsize > 1 and sys.byteorder != "little"):
        raise Malformed("no memoryview holds %d bytes of kind %.20r here" % (itemsize, kind))
    if lengths == [data.nbytes] and letter == "B":
        return data
    cast: Any = data.cast  # its declared types know the letters one by one
    found: memoryview = cast(letter, lengths) if data.nbytes else cast(letter)
    return found


def is_long_floats(value: Sequence[Any], threshold: int = FEW_FLOATS * 8) -> bool:
    """Are all items exactly floats, and so many? What equals one is none: True, 2 and NumPy's numbers stay what they are."""
    if len(value) * 8 < threshold or not value or type(value[0]) is not float or type(value[-1]) is not float:
        return False
    return _FLOAT.issuperset(map(type, value))


def pack_list(value: List[Any], threshold: int = FEW_FLOATS * 8) -> Optional[Packed]:
    """A long list of nothing but floats."""
    return pack_floats(value) if is_long_floats(value, threshold) else None


def pack_floats(value: List[float]) -> Packed:
    """A list that `is_long_floats`."""
    numbers = array.array("d", value)
    if sys.byteorder != "little":
        numbers.byteswap()
    return Packed("floats", None, [memoryview(numbers).cast("B")])


def unpack_floats(meta: Any, buffers: List[memoryview]) -> List[float]:
    """A list of its own."""
    data = joined(buffers)
    if data.nbytes % 8:
        raise Malformed("%d bytes are no whole number of floats of 8 bytes" % data.nbytes)
    numbers = array.array("d")
    numbers.frombytes(data)
    if sys.byteorder != "little":
        numbers.byteswap()
    return numbers.tolist()
