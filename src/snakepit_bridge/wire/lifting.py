"""Takes typed binary values out of a value before it is encoded: the small ones stay in their place, the large ones lie beside it."""

from typing import Any, List, Optional, Sequence, Union

from .malformed import Malformed
from .typed import Packed, is_long_floats, pack_floats, packer_of, unpack


class Typed:
    """Stands in a value where a typed one was, until the codec writes it.

    Attributes:
        items: its buffers, or the numbers of those that lie beside the value.
    """

    __slots__ = ("items", "kind", "meta")

    def __init__(self, kind: str, meta: Any, items: "List[Union[memoryview, int]]") -> None:
        self.kind = kind
        self.meta = meta
        self.items = items

    @property
    def parts(self) -> "List[Any]":
        """What is written of it."""
        return [self.kind, self.meta, self.items]


class Lift:
    """One value's typed ones.

    Args:
        threshold: from this size on (bytes) they lie beside it; None: none does, and bytes and lists of floats stay what they are.

    Attributes:
        buffers: those that do.
    """

    def __init__(self, threshold: Optional[int]) -> None:
        self._threshold = threshold
        self.buffers: List[memoryview] = []

    def bytes(self, value: bytes) -> Optional[Typed]:
        """Bytes that are to lie beside the value; None: they stay in it."""
        if self._threshold is None or len(value) < self._threshold:
            return None
        return self._placed(Packed("bytes", None, [memoryview(value)]))

    def floats(self, value: "List[Any]") -> Optional[Typed]:
        """A list of nothing but floats, and of many; None: it is none."""
        if self._threshold is None or 8 * len(value) < self._threshold or not is_long_floats(value):
            return None
        return self._placed(pack_floats(value))

    def typed(self, value: Any) -> Optional[Typed]:
        """A value of a type of `typed`; None: it is none, or has contents that no buffer holds."""
        packer = packer_of(type(value))
        packed = None if packer is None else packer(value)
        return None if packed is None else self._placed(packed)

    def _placed(self, packed: Packed) -> Typed:
        if self._threshold is None or packed.nbytes < self._threshold:
            return Typed(packed.kind, packed.meta, list(packed.pieces))
        first = len(self.buffers)
        self.buffers += packed.pieces
        return Typed(packed.kind, packed.meta, list(range(first, len(self.buffers))))


def typed_value(parts: Any, buffers: "Sequence[memoryview]") -> Any:
    """What `Typed.parts` means, with the buffers that lay beside it.

    Raises:
        Malformed: nothing.
    """
    if not isinstance(parts, list) or len(parts) != 3 or not isinstance(parts[2], list):
        raise Malformed("a typed value is an array [kind, what is known of it, its buffers]")
    return unpack(parts[0], parts[1], [_buffer(item, buffers) for item in parts[2]])


def _buffer(item: Any, buffers: "Sequence[memoryview]") -> memoryview:
    if isinstance(item, bytes):
        return memoryview(item)
    if type(item) is not int or not 0 <= item < len(buffers):
        raise Malformed("a typed value names an attachment that has not come")
    return buffers[item]
