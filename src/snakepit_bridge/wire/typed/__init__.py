"""Typed binary values: arrays, frames, tensors and plain bytes, apart from the frame that they belong to.

`pack` gives a value's kind, plain facts about it and its bytes, which are the value's own memory where that is contiguous; `unpack`
gives an equal value of the same type, which is a view of the bytes where its library has read-only views. Which types these are,
and what arrives where the library of one is missing, is in `docs/reference/binary.md`. No library is imported before a value of it
was made or has arrived, nothing is ever pickled, and what is false in the facts or the bytes gives `Malformed`.
"""

from typing import Any, Callable, Optional, Sequence

from ..malformed import Malformed
from .builtin import is_long_floats, pack_floats
from .kinds import PACKERS, unpacker
from .packed import Packed
from .pickled import Pickled
from .standin import Standin

__all__ = [
    "THRESHOLD",
    "Malformed",
    "Packed",
    "Pickled",
    "Standin",
    "is_long_floats",
    "is_typed",
    "pack",
    "pack_floats",
    "packer_of",
    "unpack",
]

#: From this size (bytes) on, `bytes` and lists of floats are packed; smaller ones stay readable in the frame.
THRESHOLD = 10 * 1024


def is_typed(kind: type) -> bool:
    """May values of exactly this type be packed? One look into a table."""
    return PACKERS[kind] is not None


def packer_of(kind: type) -> Optional[Callable[..., Optional[Packed]]]:
    """What packs values of exactly this type, whatever their size; None: they are none of these."""
    return PACKERS[kind]


def pack(value: Any, threshold: int = THRESHOLD) -> Optional[Packed]:
    """Pack a value, if it is of a type that travels as binary.

    Args:
        value: anything.
        threshold: from this size (bytes) on, `bytes` and lists of floats are packed. Types that no frame knows are always packed.

    Returns:
        None if it is none of them, or one that would not arrive as it is: an array of objects, a frame whose cells are any objects.
    """
    packer = PACKERS[type(value)]
    return None if packer is None else packer(value, threshold)


def unpack(kind: str, meta: Any, buffers: Sequence[Any]) -> Any:
    """The value again, or a `Standin` where its library is missing.

    Args:
        kind: as `pack` gave it.
        meta: as `pack` gave it; lists may have become tuples.
        buffers: as `pack` gave them, or joined into one: contiguous and never written to again, as the value may be a view of them.

    Raises:
        Malformed: they are not what `pack` gives.
    """
    found = unpacker(kind) if type(kind) is str else None
    if found is None:
        raise Malformed("no kind of binary value is called %.80r" % (kind,))
    try:
        return found(meta, [memoryview(buffer).cast("B").toreadonly() for buffer in buffers])
    except Malformed as error:
        raise Malformed("a value of kind %s cannot be read: %s" % (kind, error)) from error
    except Exception as error:  # each library has its own words for what does not fit
        raise Malformed("a value of kind %s cannot be read: %.200s" % (kind, error or type(error).__name__)) from error
