"""Takes typed binary values out of a value before it is encoded: the small ones stay in their place, the large ones lie beside it."""

from typing import Any, List, Optional, Sequence, Union

from .malformed import Malformed
from .plain import LEAVES, to_plain
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

    def lifted(self, value: Any) -> Any:
        """The value with a `Typed` in the place of each. What holds none of them is not copied, where that is cheap to see."""
        kind = type(value)
        if kind is dict:
            return {key: self.lifted(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            if len(value) > 20 and LEAVES.issuperset(map(type, value)):
                if kind is list and self._threshold is not None and 8 * len(value) >= self._threshold and is_long_floats(value):
                    return self._placed(pack_floats(value))
                return value
            return [self.lifted(item) for item in value]
        if kind in LEAVES:
            return value
        if kind is bytes and (self._threshold is None or len(value) < self._threshold):
            return value
        packer = packer_of(kind)
        if packer is not None:
            packed = packer(value)
            return value if packed is None else self._placed(packed)
        if isinstance(value, (dict, list, tuple)) or hasattr(kind, "__dataclass_fields__"):
            plain = to_plain(value) if hasattr(kind, "__dataclass_fields__") else dict(value) if isinstance(value, dict) else list(value)
            return self.lifted(plain)
        return value

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
