"""Takes typed binary values out of a value before it is encoded: the small ones stay in their place, the large ones lie beside it."""

from typing import Any, Dict, List, Optional, Sequence, Set, Tuple, Union

from .malformed import Malformed
from .markers import name_of
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


#: Under which key a result's metadata tell which types became what: `attachment` or `inline`, a plain type, or `unserializable`.
TYPES, UNSERIALIZABLE = "types", "unserializable"
#: So many types are told of.
_MOST_TYPES = 32


class Lift:
    """One value's typed ones, and what else became of its parts.

    Args:
        threshold: from this size on (bytes) they lie beside it; None: none does, and bytes and lists of floats stay what they are.
        facts: where it is told which types became what.

    Attributes:
        facts: as above, until they are encoded themselves: what they hold is no part of the value.
        buffers: those that lie beside it.
        forgiving: a marker stands for what cannot travel.
        careful: so for texts that are not Unicode.
    """

    __slots__ = ("_threshold", "_told", "buffers", "careful", "facts", "forgiving")

    def __init__(
        self, threshold: Optional[int], facts: "Optional[Dict[str, Any]]" = None, *, forgiving: bool = False, careful: bool = False
    ) -> None:
        self._threshold = threshold
        self.facts = facts
        self._told: Set[Tuple[type, str]] = set()
        self.forgiving = forgiving
        self.careful = careful
        self.buffers: List[memoryview] = []

    def became(self, kind: type, form: str) -> None:
        """Tell what has become of values of a type."""
        if self.facts is not None and (kind, form) not in self._told:
            self._told.add((kind, form))
            told, name = self.facts.setdefault(TYPES, {}), name_of(kind)
            if (len(told) < _MOST_TYPES or name in told) and (form == UNSERIALIZABLE or told.get(name, "inline") == "inline"):
                told[name] = form  # of large and small ones the large are told of, and before all what is lost

    def bytes(self, value: bytes) -> Optional[Typed]:
        """Bytes that are to lie beside the value; None: they stay in it."""
        if self._threshold is None or len(value) < self._threshold:
            return None
        self.became(bytes, "attachment")
        return self._placed(Packed("bytes", None, [memoryview(value)]))

    def floats(self, value: "List[Any]") -> Optional[Typed]:
        """A list of nothing but floats, and of many; None: it is none."""
        if self._threshold is None or 8 * len(value) < self._threshold or not is_long_floats(value):
            return None
        self.became(list, "attachment")
        return self._placed(pack_floats(value))

    def typed(self, value: Any) -> Optional[Typed]:
        """A value of a type of `typed`; None: it is none, or has contents that no buffer holds."""
        packer = packer_of(type(value))
        packed = None if packer is None else packer(value)
        if packed is None:
            return None
        self.became(type(value), "attachment" if self._is_beside(packed) else "inline")
        return self._placed(packed)

    def _is_beside(self, packed: Packed) -> bool:
        return self._threshold is not None and packed.nbytes >= self._threshold

    def _placed(self, packed: Packed) -> Typed:
        if not self._is_beside(packed):
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
