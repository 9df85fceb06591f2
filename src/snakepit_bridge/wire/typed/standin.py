"""`Standin`: a value whose library is not installed here. It says what it is, shows its bytes, and can be sent on unchanged."""

import math
import struct
from typing import Any, List, Optional, Tuple

from .packed import Packed, joined

#: What `struct` calls the numbers of NumPy's simple dtypes, without their byte order.
_LETTERS = {"b1": "?", "f2": "e", "f4": "f", "f8": "d"}
_LETTERS.update(zip(("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"), "bhiqBHIQ"))


class Standin:
    """A value of a type that this interpreter has no library for.

    Attributes:
        kind: what it is, such as `numpy.ndarray`, `pandas.DataFrame`, `pyarrow.Table`.
        dtype: the dtype of an array or a tensor as NumPy or torch writes it (`<f8`); None for other kinds and for records.
        shape: the lengths of its dimensions; None for other kinds.
        meta: what else is known of it, plain; buffers: its bytes in the parts that they came in.
        data: all of its bytes, read-only: of an array its items, of a frame or a table a stream of Arrow's IPC format.
    """

    __slots__ = ("buffers", "data", "dtype", "kind", "meta", "shape")

    def __init__(self, kind: str, meta: Any, buffers: List[memoryview]) -> None:
        self.kind = kind
        self.meta = meta
        self.buffers = buffers
        self.data = joined(buffers)
        self.dtype, self.shape = _described(kind, meta)

    def tolist(self) -> Any:
        """The items as nested lists of Python numbers, as NumPy's `tolist` gives them.

        Raises:
            TypeError: it is no array of plain numbers, and only its library can read it.
        """
        letters = _LETTERS.get((self.dtype or "")[1:]) if self.kind == "numpy.ndarray" else None
        if letters is None or self.shape is None:
            library = self.kind.partition(".")[0]
            raise TypeError("only an array of plain numbers becomes a list; what reads a %s is %s" % (self.kind, library))
        order = ">" if (self.dtype or "").startswith(">") else "<"
        if math.prod(self.shape) * struct.calcsize(order + letters) != self.data.nbytes:
            raise TypeError("its %d bytes do not fit its shape %r" % (self.data.nbytes, self.shape))
        items = [number for (number,) in struct.iter_unpack(order + letters, self.data)]
        return _nested(items, 0, _strides(self.shape, fortran=self.meta[2] == "F"))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in Standin.__slots__:  # copies are asked for these before they have anything
            raise AttributeError(name)
        raise AttributeError("a Standin has no %r: %s" % (name, self._missing()))

    def __array__(self, *_args: Any, **_named: Any) -> Any:
        raise TypeError("a Standin is no array: %s" % self._missing())

    def __getitem__(self, key: Any) -> Any:
        raise TypeError("a Standin has no items: %s" % self._missing())

    def __len__(self) -> int:
        raise TypeError("a Standin has no length: %s" % self._missing())

    def __bool__(self) -> bool:
        return True

    def _missing(self) -> str:
        return "it stands for a %s, and %s is not installed here (`pip install %s`)" % ((self.kind, *(self.kind.partition(".")[0],) * 2))

    def __repr__(self) -> str:
        facts = "".join(" %s" % (fact,) for fact in (self.dtype, self.shape) if fact is not None)
        return "<Standin for %s%s, %d bytes: its library is not installed here>" % (self.kind, facts, self.data.nbytes)


def pack_standin(value: Standin, threshold: int = 0) -> Packed:
    """As it came."""
    return Packed(value.kind, value.meta, value.buffers)


def _described(kind: str, meta: Any) -> Tuple[Optional[str], Optional[Tuple[int, ...]]]:
    """(dtype, shape) of what has them. The facts are not checked yet: that is done where they are used."""
    if kind not in ("numpy.ndarray", "torch.Tensor") or type(meta) not in (list, tuple) or len(meta) < 2:
        return None, None
    dtype, shape = meta[:2]
    if type(shape) not in (list, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        return None, None
    return dtype if type(dtype) is str else None, tuple(shape)


def _strides(shape: Tuple[int, ...], *, fortran: bool) -> List[Tuple[int, int]]:
    """(length, distance between items) of each dimension."""
    rows, distance = [], 1
    for length in shape if fortran else shape[::-1]:
        rows.append((length, distance))
        distance *= length
    return rows if fortran else rows[::-1]


def _nested(items: List[Any], at: int, rows: List[Tuple[int, int]]) -> Any:
    if not rows:
        return items[at]
    (length, distance), *rest = rows
    if not items:
        return [] if 0 in (length, distance) and not rest else [_nested(items, at, rest) for _ in range(length)]
    return [_nested(items, at + index * distance, rest) for index in range(length)]
