"""NumPy's texts of any length (`StringDType`, since NumPy 2): their UTF-8 one after the other, and where each ends.

NumPy keeps them behind pointers, so both sides copy. A missing text travels if it is None or NaN.
"""

import array
import math
from typing import Any, List, Optional

import numpy

from ..malformed import Malformed
from .packed import Packed, check_size, fields, flag, shape, split

#: In the place of a length: the text is missing.
_MISSING = -1


def pack_strings(value: Any) -> Optional[Packed]:
    """An array of texts; None if what stands for missing ones is something else, or a text is no Unicode."""
    dtype = value.dtype
    missing = getattr(dtype, "na_object", _none_of_all)
    if missing is not _none_of_all and missing is not None and not _is_nan(missing):
        return None
    texts = [item.encode("utf-8") if type(item) is str else None for item in value.ravel().tolist()]
    lengths = numpy.array([_MISSING if item is None else len(item) for item in texts], "<i8")
    mark = "" if missing is _none_of_all else "none" if missing is None else "nan"
    data = b"".join(item for item in texts if item is not None)
    meta = [list(value.shape), mark, bool(dtype.coerce), len(data)]
    return Packed("numpy.StringDType", meta, [lengths.data.cast("B"), memoryview(data)])


def unpack_strings(meta: Any, buffers: List[memoryview]) -> Any:
    """An array of its own."""
    lengths, mark, coerce, size = fields(meta, 4)
    lengths = shape(lengths)
    if mark not in ("", "none", "nan") or type(size) is not int:
        raise Malformed("expected facts about texts, got %.80r" % (meta,))
    sizes, data = split(buffers, [math.prod(lengths) * 8, size])
    missing = {"none": None, "nan": float("nan")}
    options = {"na_object": missing[mark]} if mark else {}
    dtype = numpy.dtypes.StringDType(coerce=flag(coerce), **options)  # type: ignore[call-overload,unused-ignore]
    texts: List[Any] = []
    at, whole = 0, bytes(data)
    for length in array.array("q", numpy.frombuffer(sizes, "<i8").astype("=i8").tobytes()):
        if length < 0:
            if length != _MISSING or not mark:
                raise Malformed("a text of length %d" % length)
            texts.append(missing[mark])
        else:
            texts.append(whole[at : at + length].decode("utf-8"))
            at += length
    check_size(data, at)
    found = numpy.array(texts, dtype=dtype).reshape(lengths)
    found.flags.writeable = False
    return found


_none_of_all = object()


def _is_nan(value: Any) -> bool:
    return type(value) is float and value != value  # noqa: PLR0124 - only NaN differs from itself
