"""Typed binary values: arrays, frames and long runs of bytes or floats, taken apart into buffers and put together again.

    value ─ pack ─► Packed(kind, meta, buffers) ... unpack ─► value

`meta` is plain. The buffers are flat views of bytes: on the way out of the value's own memory where that lies in one piece, on the
way in of what came, so that what is made of them is read-only. What belongs to a library is packed only where that is imported
already, and unpacked where it can be imported; elsewhere a `Standin` arrives. Nothing is ever pickled, nor imported by a name that came.
"""

import array
import sys
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from .malformed import Malformed


class Packed(NamedTuple):
    """A value in parts."""

    kind: str
    meta: Any
    buffers: "List[memoryview]"

    @property
    def nbytes(self) -> int:
        """Of the buffers."""
        return sum(map(len, self.buffers))


Packer = Callable[[Any], Optional[Packed]]
Unpacker = Callable[[Any, Sequence[memoryview]], Any]

#: Fewer floats are not worth a buffer, whatever the threshold: they would have to be looked at for it.
_FEW_FLOATS = 1280


class Standin:
    """A value whose library is not installed here.

    Attributes:
        kind: what it is, such as `numpy.ndarray`. meta: what else is known of it, plain.
        buffers: its bytes, read-only.
    """

    __slots__ = ("buffers", "kind", "meta")

    def __init__(self, kind: str, meta: Any, buffers: "List[memoryview]") -> None:
        self.kind = kind
        self.meta = meta
        self.buffers = buffers

    def __repr__(self) -> str:
        return "<Standin for %s, %d bytes: its library is not installed here>" % (self.kind, sum(map(len, self.buffers)))


def packer_of(kind: type) -> Optional[Packer]:
    """What packs values of exactly this type; None: they are none of these."""
    found = _PACKERS.get(kind)
    if found is None:
        library = _LIBRARIES.get(kind.__module__.partition(".")[0])
        if library is not None and library in sys.modules:
            module = _of_library(library)
            found = module.PACKERS.get(kind.__module__.partition(".")[0] + "." + kind.__name__)
            if found is not None and kind.__qualname__ == kind.__name__:
                _PACKERS[kind] = found
    return found


def pack(value: Any) -> Optional[Packed]:
    """A value in parts; None: it is none of these, or has contents that no buffer holds."""
    packer = packer_of(type(value))
    return None if packer is None else packer(value)


def unpack(kind: Any, meta: Any, buffers: "Sequence[memoryview]") -> Any:
    """The value.

    Raises:
        Malformed: these are not the parts of one.
    """
    unpacker = _UNPACKERS.get(kind) if isinstance(kind, str) else None
    if unpacker is None:
        library = kind.partition(".")[0] if isinstance(kind, str) else ""
        if library not in _LIBRARIES:
            raise Malformed("no typed value is of the kind %.60r" % (kind,))
        module = _of_library(library)
        unpacker = module.UNPACKERS.get(kind)
        if unpacker is None:
            raise Malformed("no typed value is of the kind %.60r" % (kind,))
    try:
        return unpacker(meta, buffers)
    except ImportError:
        return Standin(kind, meta, [memoryview(item) for item in buffers])
    except Malformed:
        raise
    except BaseException as error:  # each library has its own words, and Rust's have a panic, which is no `Exception`
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise Malformed("the parts of a %s do not fit together: %.200s" % (kind, error)) from error


def is_long_floats(value: "Sequence[Any]") -> bool:
    """Are all items exactly floats, and so many that they are better off in a buffer?"""
    return len(value) >= _FEW_FLOATS and type(value[0]) is float and type(value[-1]) is float and set(map(type, value)) == {float}


def pack_floats(value: "List[float]") -> Packed:
    """A list that `is_long_floats`."""
    found = array.array("d", value)
    if _SWAPPED:
        found.byteswap()
    return Packed("floats", None, [memoryview(found).cast("B")])


def _flat(value: Any) -> "memoryview":
    view = memoryview(value)
    return view.cast("B") if view.c_contiguous else memoryview(view.tobytes())


def _pack_view(value: "memoryview") -> Packed:
    return Packed("memoryview", [value.format, list(value.shape or ())], [_flat(value)])


def _unpack_view(meta: Any, buffers: "Sequence[memoryview]") -> "memoryview":
    (view,) = buffers
    letter, shape = meta
    if letter == "B" and len(shape) == 1:
        return view
    return view.cast(letter, shape) if shape else view.cast(letter, [])


def _unpack_floats(_meta: Any, buffers: "Sequence[memoryview]") -> "List[float]":
    (view,) = buffers
    found = array.array("d")
    found.frombytes(view)
    if _SWAPPED:
        found.byteswap()
    return found.tolist()


#: Floats travel in little-endian order.
_SWAPPED = sys.byteorder != "little"


def _only(buffers: "Sequence[memoryview]") -> "memoryview":
    (view,) = buffers
    return view


_PACKERS: Dict[type, Packer] = {
    bytes: lambda value: Packed("bytes", None, [memoryview(value)]),
    bytearray: lambda value: Packed("bytearray", None, [memoryview(value)]),
    memoryview: _pack_view,
}
_UNPACKERS: Dict[str, Unpacker] = {
    "bytes": lambda _meta, buffers: bytes(_only(buffers)),
    "bytearray": lambda _meta, buffers: bytearray(_only(buffers)),
    "memoryview": _unpack_view,
    "floats": _unpack_floats,
}
#: First name of a type's module -> the library that must be there.
_LIBRARIES = {"numpy": "numpy", "pyarrow": "pyarrow", "pandas": "pandas", "polars": "polars", "torch": "torch"}


def _of_library(name: str) -> Any:
    """Our module about a library: imports nothing of it by itself."""
    if name == "numpy":
        from . import typed_arrays

        return typed_arrays
    from . import typed_frames

    return typed_frames
