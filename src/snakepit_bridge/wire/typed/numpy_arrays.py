"""NumPy arrays: their memory as it is, and a view of what arrived.

Exactly `ndarray`, and the subclasses that NumPy itself has: `matrix`, `recarray` and `MaskedArray` (with mask and fill value) stay
what they are; a `memmap` arrives as an `ndarray`, because its file is not there. Anybody else's subclass means more than its
numbers (a unit, a frame of reference), and is not packed. Arrays in C and in Fortran order keep it; others are made C.
"""

import math
import sys
from typing import Any, Callable, Dict, List, Optional

import numpy

from ..malformed import Malformed
from . import numpy_dtypes
from .numpy_strings import pack_strings
from .packed import Packed, check_size, count, fields, flag, joined, shape, split, text_or_none

#: What `kind` says of an array's class: the class that arrives.
_CLASSES = {"matrix": "matrix", "recarray": "recarray", "memmap": "ndarray"}
_BYTE = numpy.dtype("u1")


def types() -> Dict[type, Callable[[Any, int], Optional[Packed]]]:
    """What is packed here, by its type."""
    known = [getattr(numpy, name, None) for name in ("ndarray", "memmap", "recarray", "matrix")]
    found: Dict[type, Callable[[Any, int], Optional[Packed]]] = {kind: pack for kind in known if kind is not None}
    for scalar in (numpy.datetime64, numpy.timedelta64, numpy.longdouble):  # of others the number says all
        if scalar is not numpy.float64:
            found[scalar] = pack_scalar
    return found


def masked_types() -> Dict[type, Callable[[Any, int], Optional[Packed]]]:
    """Those of a module that NumPy imports when it is first asked for."""
    return {numpy.ma.MaskedArray: pack_masked}


def pack(value: Any, threshold: int = 0) -> Optional[Packed]:
    """An array; None if it holds objects, or numbers of another library's making."""
    dtype = value.dtype
    if dtype.char == "T":
        return pack_strings(value)
    try:
        facts = numpy_dtypes.to_facts(dtype)
    except numpy_dtypes.Foreign:
        return None
    kind = type(value)
    name = None if kind is numpy.ndarray else kind.__name__
    flags = value.flags
    if not flags.c_contiguous and not flags.f_contiguous:
        value = numpy.array(value, order="C", copy=True, subok=False)
        flags = value.flags
    elif name is not None:
        value = value.view(numpy.ndarray)  # a matrix has two dimensions, and would refuse to have one
    order = "C" if flags.c_contiguous else "F"
    return Packed("numpy.ndarray", [facts, list(value.shape), order, name], [_bytes_of(value, order)])


def unpack(meta: Any, buffers: List[memoryview]) -> Any:
    """A view of the buffer, which cannot be written to. A copy only where the buffer begins at an address that does not suit."""
    dtype, lengths, order, name = fields(meta, 4)
    dtype, lengths = numpy_dtypes.from_facts(dtype), shape(lengths)
    buffer = joined(buffers)
    check_size(buffer, math.prod(lengths) * dtype.itemsize)
    if order not in ("C", "F") or _CLASSES.get(text_or_none(name) or "memmap") is None:
        raise Malformed("no array is in order %.20r and of class %.20r" % (order, name))
    if dtype.kind == "U" and buffer.nbytes and numpy.frombuffer(buffer, dtype.str[0] + "u4").max() > sys.maxunicode:
        raise Malformed("a text with characters that Unicode does not have")
    # By way of `frombuffer`, which keeps the view as it is: `ndarray` looks through it, at memory that may be written to.
    array = numpy.ndarray(tuple(lengths), dtype, numpy.frombuffer(buffer, _BYTE) if buffer.nbytes else buffer, order=order)
    if not array.flags.aligned:
        array = array.copy(order="K")
    array.flags.writeable = False
    if name is None or name == "memmap":
        return array
    return array.view(getattr(numpy, _CLASSES[name], numpy.ndarray))


def pack_scalar(value: Any, threshold: int = 0) -> Optional[Packed]:
    """A moment or a duration, whose unit no number tells, or a float that is longer than Python's."""
    packed = pack(numpy.asarray(value))
    return None if packed is None else packed._replace(kind="numpy.generic")


def unpack_scalar(meta: Any, buffers: List[memoryview]) -> Any:
    """The scalar again."""
    array = unpack(meta, buffers)
    if array.shape != ():
        raise Malformed("a scalar with dimensions")
    return array[()]


def pack_masked(value: Any, threshold: int = 0) -> Optional[Packed]:
    """Data, mask and what it is filled with."""
    if value.baseclass is not numpy.ndarray:
        return None
    data = pack(value.data)
    mask = None if value.mask is numpy.ma.nomask else pack(numpy.asarray(value.mask))
    # Only what was chosen: the default belongs to the dtype, and is made when it is asked for, then with a dtype of its own.
    chosen = None if value._fill_value is None else numpy.asarray(value._fill_value)
    chosen = None if chosen is None or (chosen.dtype != value.dtype and chosen == numpy.ma.default_fill_value(value.dtype)) else chosen
    fill = None if chosen is None else pack(chosen)
    if data is None or (mask is None) != (value.mask is numpy.ma.nomask) or (fill is None) != (chosen is None):
        return None
    parts = [part for part in (data, mask, fill) if part is not None]
    meta = [[part and part.meta, part.nbytes if part else 0] for part in (data, mask, fill)]
    return Packed("numpy.ma.MaskedArray", [*meta, bool(value.hardmask)], [buffer for part in parts for buffer in part.buffers])


def unpack_masked(meta: Any, buffers: List[memoryview]) -> Any:
    """Its data and its mask are views, and cannot be written to."""
    *parts, hard = fields(meta, 4)
    told = [fields(part, 2) for part in parts]
    there = [part for part in told if part[0] is not None]
    if told[0][0] is None:
        raise Malformed("a masked array without data")
    found = iter(split(buffers, [count(length) for _, length in there]))
    data, mask, fill = (None if facts is None else unpack(facts, [next(found)]) for facts, _ in told)
    value = numpy.ma.MaskedArray(data, mask=numpy.ma.nomask if mask is None else mask, hard_mask=flag(hard), copy=False)
    if fill is not None:
        value.fill_value = fill
    return value


def _bytes_of(value: Any, order: str) -> memoryview:
    """A contiguous array's own memory; also of dtypes that the buffer protocol does not know, such as moments."""
    if value.size == 0 or value.itemsize == 0:
        return memoryview(b"")
    flat = value.reshape(-1) if order == "C" else value.T.reshape(-1)
    return memoryview(flat.view(_BYTE))
