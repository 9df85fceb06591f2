"""NumPy arrays in parts: of any dtype without objects in it. Exactly `numpy.ndarray`: a subclass means more than its bytes."""

from typing import Any, List, Optional, Sequence

from .malformed import Malformed
from .typed import Packed

#: Kinds of dtypes that a buffer holds: booleans, numbers, times, bytes, texts, records.
_KINDS = frozenset("biufcmMSUV")


def _pack(value: Any) -> Optional[Packed]:
    """`meta`: [dtype, shape, order]."""
    import numpy

    dtype = value.dtype
    if dtype.kind not in _KINDS or dtype.hasobject:
        return None
    flags = value.flags
    order = "F" if flags.f_contiguous and not flags.c_contiguous else "C"
    if not (flags.c_contiguous or flags.f_contiguous):
        value = numpy.ascontiguousarray(value)
    descr = dtype.str if dtype.names is None and dtype.subdtype is None else numpy.lib.format.dtype_to_descr(dtype)
    if numpy.lib.format.descr_to_dtype(descr) != dtype:  # such as fields that overlap
        return None
    flat = value.reshape(-1, order=order)
    buffer = memoryview(flat.view(numpy.uint8)) if flat.nbytes else memoryview(b"")
    return Packed("numpy.ndarray", [descr, list(value.shape), order], [buffer])


def _unpack(meta: Any, buffers: "Sequence[memoryview]") -> Any:
    descr, shape, order = meta
    if order not in ("C", "F") or not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise Malformed("an array's shape is %.60r, in order %.10r" % (shape, order))
    import numpy

    dtype = numpy.dtype(descr) if isinstance(descr, str) else numpy.lib.format.descr_to_dtype(_fields(descr))
    if dtype.kind not in _KINDS or dtype.hasobject:
        raise Malformed("an array's items are %s" % dtype)
    (buffer,) = buffers
    count = 1
    for size in shape:
        count *= size
    if count * dtype.itemsize != len(buffer) or len(shape) > 64 or count >= 2**62:
        raise Malformed("an array of %r items of %d bytes came with %d bytes" % (shape, dtype.itemsize, len(buffer)))
    flat = numpy.frombuffer(buffer, dtype=dtype) if len(buffer) else numpy.empty(count, dtype=dtype)
    return flat.reshape(shape, order=order)


def _fields(descr: Any) -> "List[Any]":
    """A record's fields as NumPy wants them: in tuples, which have arrived as lists."""
    found = []
    for name, item, *shape in descr:
        title = tuple(name) if isinstance(name, list) else name
        inner = item if isinstance(item, str) else _fields(item)
        found.append((title, inner, *(tuple(size) if isinstance(size, list) else size for size in shape)))
    return found


PACKERS = {"numpy.ndarray": _pack}
UNPACKERS = {"numpy.ndarray": _unpack}
