"""`Pickled`: an object as a pickle, which nothing here reads. Those who may read it, and when, are in `pickling` of either side."""

from typing import Any, List

from ..malformed import Malformed
from .packed import Packed

KIND = "pickle"


class Pickled:
    """An object that was pickled: its own bytes, and its large buffers beside them.

    Attributes:
        data: the pickle. buffers: what it says lies beside it, in order.
    """

    __slots__ = ("buffers", "data")

    def __init__(self, data: Any, buffers: List[memoryview]) -> None:
        self.data = data
        self.buffers = buffers

    def __repr__(self) -> str:
        return "<Pickled, %d bytes: it was not read>" % sum(memoryview(part).nbytes for part in (self.data, *self.buffers))


def pack_pickled(value: Pickled, threshold: int = 0) -> Packed:
    """Each buffer by itself: whoever reads it gets them as they are."""
    parts = [memoryview(value.data), *value.buffers]
    return Packed(KIND, [part.nbytes for part in parts], parts)


def unpack_pickled(meta: Any, buffers: List[memoryview]) -> Pickled:
    """As it came, unread.

    Raises:
        Malformed: it says what is not so.
    """
    if type(meta) is not list or not meta or [part.nbytes for part in buffers] != meta:
        raise Malformed("a pickle has other buffers than it says")
    return Pickled(buffers[0], buffers[1:])
